-- $1 id, $2 prefix, $3 hash, $4 role, $5 tenant or NULL, $6 name, $7 actor, $8 request id. tenant_lock ran before.
-- No id comes back when the tenant has as many keys as it may have; the provider may have any number.
WITH quota AS (
    SELECT key_limit AS may,
           (SELECT count(*) FROM api_key WHERE tenant_id = tenant.id AND revoked_at IS NULL) AS used
    FROM tenant
    WHERE tenant.id = $5
), made AS (
    INSERT INTO api_key (id, prefix, secret_hash, role, tenant_id, name)
    SELECT $1, $2, $3, $4, $5, $6
    WHERE $5 IS NULL OR EXISTS (SELECT FROM quota WHERE used < may)
    RETURNING id, tenant_id
), noted AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
    SELECT tenant_id, $7, 'api-key.create', id, $8,
           jsonb_build_object('name', $6::text, 'prefix', $2::text)
    FROM made
)
SELECT made.id, quota.used, quota.may
FROM (SELECT) AS once LEFT JOIN made ON true LEFT JOIN quota ON true
