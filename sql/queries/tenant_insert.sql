-- $1 id, $2 name, $3 registries that it may have, $4 keys, $5 actor, $6 request id
WITH made AS (
    INSERT INTO tenant (id, name, registry_limit, key_limit) VALUES ($1, $2, $3::integer, $4::integer) RETURNING id
)
INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
SELECT id, $5, 'tenant.create', id, $6,
       jsonb_build_object('name', $2::text, 'registryLimit', $3::integer, 'keyLimit', $4::integer)
FROM made
