-- The point of no return of resource $1, if generation $2 is still the row's: serve allows an undo only
-- while purge_started_at is null.
UPDATE resource SET purge_started_at = coalesce(purge_started_at, now())
WHERE id = $1 AND generation = $2::bigint AND lifecycle = 'closed' AND purge_after <= now()
  AND deleted_at IS NULL AND state = 'normal'
RETURNING id
