-- Registries of cell $1 whose admin password is still here become work: no event tells when its hand-over went.
INSERT INTO outbox (resource_id, tenant_id, generation)
SELECT r.id, r.tenant_id, r.generation
FROM sealed_secret s
JOIN resource r ON r.id = s.owner_id
WHERE s.owner_kind = 'registry' AND s.shredded_at IS NULL
  AND r.cell = $1 AND r.published > 0 AND r.state = 'normal' AND r.deleted_at IS NULL
ORDER BY r.id
ON CONFLICT (resource_id) DO NOTHING
