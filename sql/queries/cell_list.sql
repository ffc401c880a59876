-- $1 name after which the page starts, $2 limit
SELECT name AS id, body FROM api_cell WHERE name > $1 ORDER BY name LIMIT $2
