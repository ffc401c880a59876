-- What cell $1 should have, behind id $2: to find custom resources that went while nobody watched.
SELECT jsonb_build_object('id', r.id, 'namespace', r.namespace, 'name', r.name)
FROM resource r
WHERE r.cell = $1 AND r.id > $2 AND r.deleted_at IS NULL AND r.state = 'normal' AND r.published > 0
ORDER BY r.id
LIMIT 1000
