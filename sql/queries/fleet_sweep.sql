-- Closed registries whose grace period has passed, by this server's clock, become work. Answers how
-- much waits.
WITH due AS (
    INSERT INTO outbox (registry_id, tenant_id, generation)
    SELECT r.id, r.tenant_id, r.generation
    FROM registry r
    WHERE r.lifecycle = 'closed' AND r.deleted_at IS NULL AND r.purge_after <= now() AND r.state = 'normal'
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.registry_id = r.id)
    ON CONFLICT (registry_id) DO NOTHING
)
SELECT count(*) FROM outbox
