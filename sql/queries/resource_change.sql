-- The next generation of a resource that resource_lock holds.
-- $1 tenant, $2 id, $3 kind (update, close, delete, undo, rotate), $4 spec, $5 grace in seconds (NULL: open),
-- $6 operation, $7 actor, $8 request id, $9 kinds of credentials to be made anew (NULL: none)
-- A pipeline keeps its graph for life, and its making told it: each change of a rate would tell all of it again.
WITH changed AS (
    UPDATE resource
    SET spec = $4::jsonb,
        lifecycle = CASE WHEN $3 IN ('close', 'delete') THEN 'closed' WHEN $3 = 'undo' THEN 'active'
                         ELSE lifecycle END,
        purge_after = CASE WHEN $3 IN ('close', 'delete') THEN now() + make_interval(secs => $5::integer)
                           WHEN $3 = 'undo' THEN NULL
                           ELSE purge_after END,
        credentials = CASE WHEN $9::jsonb IS NULL THEN credentials
                           ELSE credentials || (SELECT jsonb_object_agg(kind, generation + 1)
                                                FROM jsonb_array_elements_text($9::jsonb) AS kind) END,
        generation = generation + 1,
        updated_at = now()
    WHERE tenant_id = $1 AND id = $2
    RETURNING id, tenant_id, generation, purge_after
), superseded AS (
    UPDATE operation SET status = 'superseded', finished_at = now()
    FROM changed
    WHERE operation.resource_id = changed.id AND operation.status IN ('pending', 'running')
), started AS (
    INSERT INTO operation (id, tenant_id, resource_id, kind, requested_generation, actor, request_id)
    SELECT $6, tenant_id, id, $3, generation, $7, $8 FROM changed
), queued AS (
    INSERT INTO outbox AS o (resource_id, tenant_id, generation)
    SELECT id, tenant_id, generation FROM changed
    ON CONFLICT (resource_id) DO UPDATE
    SET generation = greatest(o.generation, excluded.generation), due_at = now(), attempts = 0
), noted AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
    SELECT tenant_id, $7, kind_of(id) || '.' || $3, id, $8,
           jsonb_build_object('generation', generation, 'operation', $6::text, 'spec', $4::jsonb - 'workers',
                              'purgeAfter', api_time(purge_after))
           || CASE WHEN $9::jsonb IS NULL THEN '{}' ELSE jsonb_build_object('credentials', $9::jsonb) END
    FROM changed
)
SELECT generation FROM changed
