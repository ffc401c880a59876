-- The cells, and how full each is of the kind of resource $1 (NULL: of registries). elsewhere: the tenant of a pipeline
-- has others in another cell, with the workers that they share, and none in this one.
SELECT jsonb_build_object(
    'name', c.name, 'kubeconfig', c.kubeconfig, 'state', c.state, 'capacity', c.capacity,
    'used', (SELECT count(*) FROM resource r
             WHERE r.cell = c.name AND kind_of(r.id) = coalesce(kind_of($1), 'registry') AND r.deleted_at IS NULL),
    'elsewhere', coalesce((
        SELECT NOT bool_or(r.cell = c.name)
        FROM resource wanted
        JOIN resource r ON r.tenant_id = wanted.tenant_id AND kind_of(r.id) = 'pipeline'
        WHERE wanted.id = $1 AND kind_of($1) = 'pipeline' AND r.cell IS NOT NULL AND r.deleted_at IS NULL), false))
FROM cell c
ORDER BY c.name
