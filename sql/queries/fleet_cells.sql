-- The cells and how full they are.
SELECT jsonb_build_object('name', c.name, 'kubeconfig', c.kubeconfig, 'state', c.state, 'capacity', c.capacity,
                          'used', (SELECT count(*) FROM registry r WHERE r.cell = c.name AND r.deleted_at IS NULL))
FROM cell c
ORDER BY c.name
