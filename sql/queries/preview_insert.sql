-- A question to a cell: $1 operation, $2 tenant, $3 name, $4 spec, $5 actor, $6 request id, $7 how many of a tenant may
-- wait, $8 how many of it are kept. tenant_lock ran before. No row comes back when there is no such tenant, and no id
-- when it has as many as it may. Nothing is noted in the audit trail: nothing changes.
WITH used AS (
    SELECT tenant.id, (SELECT count(*) FROM preview WHERE preview.tenant_id = tenant.id) AS waiting,
           (SELECT count(*) FROM operation WHERE operation.tenant_id = tenant.id AND kind = 'preview') AS kept
    FROM tenant
    WHERE tenant.id = $2
), made AS (
    INSERT INTO operation (id, tenant_id, kind, requested_generation, actor, request_id)
    SELECT $1, used.id, 'preview', 1, $5, $6 FROM used
    WHERE waiting < $7::bigint AND kept < $8::bigint
    RETURNING id, tenant_id
), queued AS (
    INSERT INTO preview (operation_id, tenant_id, name, spec) SELECT id, tenant_id, $3, $4::jsonb FROM made
)
SELECT made.id, used.waiting, used.kept FROM used LEFT JOIN made ON true
