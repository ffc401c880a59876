-- $1 resources to look at again; $2 those of them where something happened in the cell just now: they wait
-- no longer, and if somebody works on one, his lease is revoked, so that he cannot call it done.
INSERT INTO outbox AS o (resource_id, tenant_id, generation)
SELECT r.id, r.tenant_id, r.generation
FROM resource r
WHERE r.id IN (SELECT jsonb_array_elements_text($1::jsonb)) AND (r.state = 'normal' OR r.deleted_at IS NOT NULL)
ORDER BY r.id
ON CONFLICT (resource_id) DO UPDATE
    SET lease_owner = NULL, lease_until = NULL, due_at = now()
    WHERE $2::jsonb ? o.resource_id
