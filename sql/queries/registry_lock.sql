-- $1 tenant, $2 id. The row of a registry, locked until the transaction ends, so that what is
-- decided from it still holds when it is written.
SELECT r.spec,
       r.name,
       r.lifecycle,
       r.generation,
       s.version AS runs,
       r.deleted_at IS NOT NULL AS deleted,
       r.state = 'diverged' AS diverged,
       r.purge_started_at IS NOT NULL OR coalesce(r.purge_after <= now(), false) AS purging
FROM registry AS r
LEFT JOIN registry_status AS s ON s.registry_id = r.id
WHERE r.tenant_id = $1 AND r.id = $2
FOR UPDATE OF r
