-- $1 tenant, $2 resource: its newest operation
SELECT id FROM operation WHERE tenant_id = $1 AND resource_id = $2 ORDER BY id DESC LIMIT 1
