-- $1 resource, $2 the generation that was read, $3 the live revision, which a stranger set.
WITH raised AS (
    UPDATE resource SET generation = $3::bigint + 1, updated_at = now()
    WHERE id = $1 AND generation = $2::bigint AND state = 'normal' AND deleted_at IS NULL
    RETURNING id, tenant_id, generation
), work AS (
    UPDATE outbox o SET generation = r.generation FROM raised r WHERE o.resource_id = r.id
), told AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, detail)
    SELECT tenant_id, 'fleet', kind_of(id) || '.raise', id, jsonb_build_object('generation', generation) FROM raised
)
SELECT id FROM raised
