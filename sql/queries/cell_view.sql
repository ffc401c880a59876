-- $1 name
SELECT body FROM api_cell WHERE name = $1
