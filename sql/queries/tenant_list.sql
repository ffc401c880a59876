-- $1 id after which the page starts, $2 limit
SELECT id, body FROM api_tenant WHERE id > $1 ORDER BY id LIMIT $2
