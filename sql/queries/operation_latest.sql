-- $1 tenant, $2 registry: the newest operation of that registry
SELECT id FROM operation WHERE tenant_id = $1 AND registry_id = $2 ORDER BY id DESC LIMIT 1
