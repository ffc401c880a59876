-- $1 resource, $2 owner, $3 the generation that was dealt with, $4 the generation that was published, or 0.
-- The row stays when a newer generation came meanwhile, or when the lease was revoked because something
-- happened in the cell while we worked.
WITH forgotten AS (
    DELETE FROM outbox WHERE resource_id = $1 AND lease_owner = $2 AND generation <= $3::bigint
), released AS (
    UPDATE outbox SET lease_owner = NULL, lease_until = NULL
    WHERE resource_id = $1 AND lease_owner = $2 AND generation > $3::bigint
), published AS (
    UPDATE resource SET published = $4::bigint
    WHERE id = $1 AND published < $4::bigint
)
UPDATE operation SET status = 'running', started_at = now()
WHERE resource_id = $1 AND status = 'pending' AND requested_generation <= $4::bigint
