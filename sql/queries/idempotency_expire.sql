-- A bounded bite, so that no transaction is long.
DELETE FROM idempotency_key
WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotency_key WHERE expires_at < now() LIMIT 1000))
