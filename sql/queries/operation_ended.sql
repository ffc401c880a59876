-- $1 array of ids: those of them that are no longer open
SELECT id FROM operation WHERE id = ANY ($1::text[]) AND status NOT IN ('pending', 'running')
