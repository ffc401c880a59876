-- $1 tenant, $2 principal, $3 key, $4 status, $5 headers, $6 body
UPDATE idempotency_key SET status = $4::integer, headers = $5::jsonb, body = $6
WHERE tenant_id = $1 AND principal = $2 AND key = $3
