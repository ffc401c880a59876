-- Closed resources whose grace period has passed, by this server's clock, become work. Answers how
-- much waits.
WITH due AS (
    INSERT INTO outbox (resource_id, tenant_id, generation)
    SELECT r.id, r.tenant_id, r.generation
    FROM resource r
    WHERE r.lifecycle = 'closed' AND r.deleted_at IS NULL AND r.purge_after <= now() AND r.state = 'normal'
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.resource_id = r.id)
    ON CONFLICT (resource_id) DO NOTHING
)
SELECT count(*) FROM outbox
