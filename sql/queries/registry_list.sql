-- $1 tenant, $2 id after which the page starts, $3 limit
SELECT id, body
FROM api_registry
WHERE tenant_id = $1 AND id > $2 AND deleted_at IS NULL
ORDER BY id
LIMIT $3
