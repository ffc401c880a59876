-- $1 resource, $2 owner, $3 milliseconds at least, $4 reason, $5 message, $6 fail the operations up to this
-- generation, or 0, $7 milliseconds at most, $8 the generation that was published, or 0. Exponential with full
-- jitter.
WITH failed AS (
    UPDATE operation
    SET status = 'failed', finished_at = now(), error = jsonb_build_object('code', $4::text, 'detail', $5::text)
    WHERE resource_id = $1 AND status IN ('pending', 'running') AND requested_generation <= $6::bigint
), published AS (
    UPDATE resource SET published = $8::bigint
    WHERE id = $1 AND published < $8::bigint
), started AS (
    UPDATE operation SET status = 'running', started_at = now()
    WHERE resource_id = $1 AND status = 'pending' AND requested_generation <= $8::bigint
      AND requested_generation > $6::bigint
)
UPDATE outbox
SET attempts = attempts + 1,
    due_at = now() + greatest($3::integer, random() * least($7::integer, 200 * 2 ^ least(attempts, 10)))
                     * interval '1 ms',
    lease_owner = NULL, lease_until = NULL, last_error = left($4 || ': ' || $5, 500)
WHERE resource_id = $1 AND lease_owner = $2
