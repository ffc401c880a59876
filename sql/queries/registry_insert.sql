-- $1 id, $2 tenant, $3 name, $4 identity, $5 spec, $6 operation, $7 actor, $8 request id,
-- $9 sealed secret, $10 its purpose, $11 key, $12 wrapped data key and $13 text, both in base64.
-- tenant_lock ran before. No row comes back when there is no such tenant, and no id when it has as many registries
-- as it may have: closed ones count, their data is still there.
WITH quota AS (
    SELECT id, registry_limit AS may,
           (SELECT count(*) FROM registry WHERE tenant_id = tenant.id AND deleted_at IS NULL) AS used
    FROM tenant
    WHERE tenant.id = $2
), made AS (
    INSERT INTO registry (id, tenant_id, name, identity, spec, namespace)
    SELECT $1, quota.id, $3, $4, $5::jsonb, 'reg-' || substr($1, 5)
    FROM quota
    WHERE used < may
    RETURNING id, tenant_id, generation
), observed AS (
    INSERT INTO registry_status (registry_id, tenant_id) SELECT id, tenant_id FROM made
), started AS (
    INSERT INTO operation (id, tenant_id, registry_id, kind, requested_generation, actor, request_id)
    SELECT $6, tenant_id, id, 'create', generation, $7, $8 FROM made
), queued AS (
    INSERT INTO outbox (registry_id, tenant_id, generation)
    SELECT id, tenant_id, generation FROM made
), sealed AS (
    INSERT INTO sealed_secret (id, tenant_id, owner_kind, owner_id, purpose, kek_id, wrapped_dek, sealed)
    SELECT $9, tenant_id, 'registry', id, $10, $11, decode($12, 'base64'), decode($13, 'base64') FROM made
), noted AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
    SELECT tenant_id, $7, 'registry.create', id, $8,
           jsonb_build_object('generation', generation, 'operation', $6::text, 'name', $3::text,
                              'spec', $5::jsonb)
    FROM made
)
SELECT made.id, quota.used, quota.may FROM quota LEFT JOIN made ON true
