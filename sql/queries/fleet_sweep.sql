-- Closed resources whose grace period has passed, by this server's clock, become work. Dry runs whose time is over end
-- with the last error, and those of more than an hour ago are forgotten. Answers how much waits in the outbox, and
-- how many dry runs ended without any error: nobody asked for them.
WITH due AS (
    INSERT INTO outbox (resource_id, tenant_id, generation)
    SELECT r.id, r.tenant_id, r.generation
    FROM resource r
    WHERE r.lifecycle = 'closed' AND r.deleted_at IS NULL AND r.purge_after <= now() AND r.state = 'normal'
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.resource_id = r.id)
    ON CONFLICT (resource_id) DO NOTHING
), overdue AS (
    SELECT operation_id FROM preview WHERE until <= now() FOR UPDATE SKIP LOCKED
), unanswered AS (
    DELETE FROM preview p USING overdue WHERE p.operation_id = overdue.operation_id RETURNING p.operation_id, p.last_error
), failed AS (
    UPDATE operation o
    SET status = 'failed', finished_at = now(),
        error = coalesce(u.last_error, '{"code": "PreviewExpired", "detail": "no fleet process answered within 30 s"}')
    FROM unanswered u
    WHERE o.id = u.operation_id AND o.status IN ('pending', 'running')
), old AS (
    SELECT id FROM operation
    WHERE kind = 'preview' AND created_at < now() - interval '1 hour' AND finished_at IS NOT NULL
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM operation o USING old WHERE o.id = old.id AND o.kind = 'preview'
)
SELECT count(*), (SELECT count(*) FROM unanswered WHERE last_error IS NULL) FROM outbox
