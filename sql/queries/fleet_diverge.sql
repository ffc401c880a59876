-- $1 resource, $2 the generation that was read, $3 the live revision, $4 why: nothing is published or
-- deleted for this row until a person decides.
WITH diverged AS (
    UPDATE resource SET state = 'diverged'
    WHERE id = $1 AND generation = $2::bigint AND state = 'normal' AND deleted_at IS NULL
    RETURNING id, tenant_id, generation
), forgotten AS (
    DELETE FROM outbox o USING diverged d WHERE o.resource_id = d.id
), failed AS (
    UPDATE operation o
    SET status = 'failed', finished_at = now(), error = jsonb_build_object('code', 'Diverged', 'detail', $4::text)
    FROM diverged d
    WHERE o.resource_id = d.id AND o.status IN ('pending', 'running')
), told AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, detail)
    SELECT tenant_id, 'fleet', kind_of(id) || '.diverge', id,
           jsonb_build_object('generation', generation, 'live', $3::bigint, 'message', $4::text)
    FROM diverged
)
SELECT id FROM diverged
