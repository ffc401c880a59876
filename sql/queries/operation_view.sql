-- $1 tenant, $2 id
SELECT body, open FROM api_operation WHERE tenant_id = $1 AND id = $2
