-- The question $1, leased by $2, is asked again, $3 milliseconds from now at least, because of reason $4, message $5.
-- Exponential with full jitter; fleet_sweep ends it when its time is over.
UPDATE preview
SET attempts = attempts + 1,
    due_at = now() + greatest($3::integer, random() * least(4000, 200 * 2 ^ least(attempts, 10))) * interval '1 ms',
    lease_owner = NULL, lease_until = NULL, last_error = jsonb_build_object('code', $4::text, 'detail', $5::text)
WHERE operation_id = $1 AND lease_owner = $2
RETURNING operation_id
