-- $1 tenant, $2 id
SELECT body, generation, deleted_at IS NOT NULL AS deleted
FROM api_registry
WHERE tenant_id = $1 AND id = $2
