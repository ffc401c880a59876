-- The cells, and how full each is of the kind of resource $1 (NULL: of registries; an operation: a dry run's pipeline).
-- elsewhere: the tenant of a pipeline has others in another cell, with the workers that they share, and none in this one;
-- as in fleet_place, which decides.
WITH wanted AS (
    SELECT tenant_id, kind_of(id) AS kind FROM resource WHERE id = $1
    UNION ALL
    SELECT tenant_id, 'pipeline' FROM preview WHERE operation_id = $1
)
SELECT jsonb_build_object(
    'name', c.name, 'kubeconfig', c.kubeconfig, 'state', c.state, 'capacity', c.capacity,
    'used', (SELECT count(*) FROM resource r
             WHERE r.cell = c.name AND r.deleted_at IS NULL
               AND kind_of(r.id) = coalesce((SELECT kind FROM wanted), 'registry')),
    'elsewhere', coalesce((
        SELECT NOT bool_or(r.cell = c.name)
        FROM wanted
        JOIN resource r ON r.tenant_id = wanted.tenant_id AND kind_of(r.id) = 'pipeline'
        WHERE wanted.kind = 'pipeline' AND r.cell IS NOT NULL AND r.deleted_at IS NULL), false))
FROM cell c
ORDER BY c.name
