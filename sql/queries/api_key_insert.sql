-- $1 id, $2 prefix, $3 hash, $4 role, $5 tenant or NULL, $6 name, $7 actor, $8 request id
WITH made AS (
    INSERT INTO api_key (id, prefix, secret_hash, role, tenant_id, name)
    VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING id, tenant_id
)
INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
SELECT tenant_id, $7, 'api-key.create', id, $8,
       jsonb_build_object('name', $6::text, 'prefix', $2::text)
FROM made
