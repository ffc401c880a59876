-- $1 name
SELECT name FROM plan WHERE name = $1
