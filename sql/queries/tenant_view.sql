-- $1 id
SELECT body FROM api_tenant WHERE id = $1
