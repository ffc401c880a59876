-- $1 tenant, $2 id. The row of a registry, locked until the transaction ends, so that what is
-- decided from it still holds when it is written.
SELECT spec,
       name,
       lifecycle,
       generation,
       deleted_at IS NOT NULL AS deleted,
       state = 'diverged' AS diverged,
       purge_started_at IS NOT NULL OR coalesce(purge_after <= now(), false) AS purging
FROM registry
WHERE tenant_id = $1 AND id = $2
FOR UPDATE
