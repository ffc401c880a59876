-- Resource $1 of generation $2 is gone from its cell. Its outbox row stays until a namespace of its own is, too.
WITH buried AS (
    UPDATE resource SET deleted_at = now(), updated_at = now(),
        spec = CASE kind_of(id) WHEN 'pipeline' THEN '{}' ELSE spec END -- nobody counts how many of them there come to be
    WHERE id = $1 AND generation = $2::bigint AND purge_started_at IS NOT NULL AND deleted_at IS NULL
      AND state = 'normal'
    RETURNING id, tenant_id, generation
), forgotten AS (
    DELETE FROM resource_status s USING buried b WHERE s.resource_id = b.id
), shredded AS (
    UPDATE sealed_secret s SET kek_id = NULL, wrapped_dek = NULL, sealed = NULL, shredded_at = now()
    FROM buried b
    WHERE s.owner_kind = 'registry' AND s.owner_id = b.id AND s.shredded_at IS NULL
), ended AS (
    UPDATE operation o
    SET status = 'succeeded', started_at = coalesce(o.started_at, now()), finished_at = now()
    FROM buried b
    WHERE o.resource_id = b.id AND o.status IN ('pending', 'running')
), told AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, detail)
    SELECT tenant_id, 'fleet', kind_of(id) || '.purged', id, jsonb_build_object('generation', generation) FROM buried
)
SELECT id FROM buried
