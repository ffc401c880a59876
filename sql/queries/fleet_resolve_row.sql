-- A person decided that resource $1's row is right; $2 its cell, $3 the custom resource, NULL if there is
-- none: then it is made anew.
WITH resolved AS (
    UPDATE resource
    SET state = 'normal', updated_at = now(),
        generation = greatest(generation, coalesce(($3::jsonb #>> '{spec,revision}')::bigint, 0)) + 1,
        published = CASE WHEN $3::jsonb IS NULL THEN 0 ELSE published END,
        cell = coalesce(cell, $2)
    WHERE id = $1 AND state = 'diverged' AND deleted_at IS NULL
    RETURNING id, tenant_id, generation
), work AS (
    INSERT INTO outbox AS o (resource_id, tenant_id, generation)
    SELECT id, tenant_id, generation FROM resolved
    ON CONFLICT (resource_id) DO UPDATE SET generation = excluded.generation, due_at = now(), attempts = 0
), told AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, detail)
    SELECT tenant_id, 'audit', kind_of(id) || '.resolve', id, jsonb_build_object('take', 'row', 'generation', generation)
    FROM resolved
)
SELECT id FROM resolved
