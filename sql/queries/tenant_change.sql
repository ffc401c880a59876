-- $1 id, $2 registries that it may have, $3 keys (-1 each: as before), $4 actor, $5 request id
WITH changed AS (
    UPDATE tenant
    SET registry_limit = coalesce(nullif($2::integer, -1), registry_limit),
        key_limit = coalesce(nullif($3::integer, -1), key_limit)
    WHERE id = $1
    RETURNING id, registry_limit, key_limit
)
INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
SELECT id, $4, 'tenant.update', id, $5,
       jsonb_build_object('registryLimit', registry_limit, 'keyLimit', key_limit)
FROM changed
