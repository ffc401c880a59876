-- $1 prefix. The scope's key_prefix setting lets this one row through.
SELECT id, secret_hash, role, tenant_id FROM api_key WHERE prefix = $1 AND revoked_at IS NULL
