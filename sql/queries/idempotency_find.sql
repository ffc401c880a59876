-- $1 tenant, $2 principal, $3 key
SELECT fingerprint, status, headers, body
FROM idempotency_key
WHERE tenant_id = $1 AND principal = $2 AND key = $3
