-- $1 kind, $2 tenant, $3 id
SELECT body, generation, deleted_at IS NOT NULL AS deleted
FROM api_resource
WHERE kind = $1 AND tenant_id = $2 AND id = $3
