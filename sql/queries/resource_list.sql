-- $1 kind, $2 tenant, $3 id after which the page starts, $4 limit
SELECT id, body
FROM api_resource
WHERE kind = $1 AND tenant_id = $2 AND id > $3 AND deleted_at IS NULL
ORDER BY id
LIMIT $4
