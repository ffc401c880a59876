-- $1 tenant, $2 id after which the page starts, $3 limit
SELECT id, body
FROM api_api_key
WHERE tenant_id = $1 AND id > $2 AND revoked_at IS NULL
ORDER BY id
LIMIT $3
