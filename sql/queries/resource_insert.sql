-- $1 id, which tells the kind, $2 tenant, $3 name, $4 identity (NULL: a kind without), $5 spec, $6 operation, $7 actor,
-- $8 request id, $9 sealed secret (NULL: none), $10 its purpose, $11 key, $12 wrapped data key and $13 text, both in base64.
-- tenant_lock ran before. No row comes back when there is no such tenant, and no id when it has as many of the kind
-- as it may have: closed registries count, their data is still there.
WITH quota AS (
    SELECT id, CASE kind_of($1) WHEN 'pipeline' THEN pipeline_limit ELSE registry_limit END AS may,
           (SELECT count(*) FROM resource
            WHERE tenant_id = tenant.id AND kind_of(resource.id) = kind_of($1) AND deleted_at IS NULL) AS used
    FROM tenant
    WHERE tenant.id = $2
), made AS (
    INSERT INTO resource (id, tenant_id, name, identity, spec, namespace)
    SELECT $1, quota.id, $3, $4, $5::jsonb,
           CASE kind_of($1) WHEN 'pipeline' THEN 'tn-' || substr(quota.id, 4) ELSE 'reg-' || substr($1, 5) END
    FROM quota
    WHERE used < may
    RETURNING id, tenant_id, generation
), observed AS (
    INSERT INTO resource_status (resource_id, tenant_id) SELECT id, tenant_id FROM made
), started AS (
    INSERT INTO operation (id, tenant_id, resource_id, kind, requested_generation, actor, request_id)
    SELECT $6, tenant_id, id, 'create', generation, $7, $8 FROM made
), queued AS (
    INSERT INTO outbox (resource_id, tenant_id, generation)
    SELECT id, tenant_id, generation FROM made
), sealed AS (
    INSERT INTO sealed_secret (id, tenant_id, owner_kind, owner_id, purpose, kek_id, wrapped_dek, sealed)
    SELECT $9, tenant_id, kind_of(id), id, $10, $11, decode($12, 'base64'), decode($13, 'base64') FROM made
    WHERE $9::text IS NOT NULL
), noted AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
    SELECT tenant_id, $7, kind_of(id) || '.create', id, $8,
           jsonb_build_object('generation', generation, 'operation', $6::text, 'name', $3::text,
                              'spec', $5::jsonb)
    FROM made
)
SELECT made.id, quota.used, quota.may FROM quota LEFT JOIN made ON true
