-- $1 tenant, $2 id
SELECT body FROM api_api_key WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL
