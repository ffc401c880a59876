-- $1 id, $2 name, $3 actor, $4 request id
WITH made AS (
    INSERT INTO tenant (id, name) VALUES ($1, $2) RETURNING id
)
INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
SELECT id, $3, 'tenant.create', id, $4, jsonb_build_object('name', $2::text) FROM made
