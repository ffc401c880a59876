-- The question $1, leased by $2, is answered with $3, because of the placement $4 for the provider; or with NULL it never
-- will be, because of reason $5, message $6. Why no cell had room, or why this one was asked, is told with either.
WITH answered AS (
    DELETE FROM preview WHERE operation_id = $1 AND lease_owner = $2 RETURNING operation_id
)
UPDATE operation o
SET status = CASE WHEN $3::jsonb IS NULL THEN 'failed' ELSE 'succeeded' END, finished_at = now(),
    result = $3::jsonb || jsonb_build_object('placement', $4::jsonb),
    error = CASE WHEN $3::jsonb IS NULL THEN
        jsonb_strip_nulls(jsonb_build_object('code', $5::text, 'detail', $6::text, 'placement', $4::jsonb)) END
FROM answered
WHERE o.id = answered.operation_id AND o.status IN ('pending', 'running')
RETURNING o.id
