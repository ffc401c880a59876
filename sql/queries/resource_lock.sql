-- $1 kind, $2 tenant, $3 id. The row of a resource, locked until the transaction ends, so that what is
-- decided from it still holds when it is written.
SELECT r.spec,
       r.name,
       r.lifecycle,
       r.generation,
       s.version AS runs,
       r.deleted_at IS NOT NULL AS deleted,
       r.state = 'diverged' AS diverged,
       r.purge_started_at IS NOT NULL OR coalesce(r.purge_after <= now(), false) AS purging
FROM resource AS r
LEFT JOIN resource_status AS s ON s.resource_id = r.id
WHERE kind_of(r.id) = $1 AND r.tenant_id = $2 AND r.id = $3
FOR UPDATE OF r
