-- Leases questions to cells: $1 owner, $2 how many, $3 milliseconds, $4 also what another owner holds, $5 those that this
-- process works on. Of each tenant one at a time, the longest due: who asks much waits himself.
WITH ranked AS (
    SELECT operation_id, row_number() OVER (PARTITION BY tenant_id ORDER BY due_at) AS nth
    FROM preview
    WHERE due_at <= now() AND until > now()
      AND NOT EXISTS (
          SELECT FROM preview other
          WHERE other.tenant_id = preview.tenant_id AND other.operation_id <> preview.operation_id
            AND other.lease_until > now() AND (other.lease_owner <> $1 OR $5::jsonb ? other.operation_id))
), picked AS (
    SELECT preview.operation_id
    FROM preview JOIN ranked USING (operation_id)
    WHERE (lease_until IS NULL OR lease_until < now() OR lease_owner = $1 OR $4::boolean)
      AND NOT $5::jsonb ? preview.operation_id
      AND nth = 1
    ORDER BY due_at
    LIMIT $2::integer
    FOR UPDATE OF preview SKIP LOCKED
), leased AS (
    UPDATE preview p
    SET lease_owner = $1, lease_until = now() + $3::integer * interval '1 ms'
    FROM picked
    WHERE p.operation_id = picked.operation_id
    RETURNING p.operation_id
), started AS (
    UPDATE operation o SET status = 'running', started_at = now()
    FROM leased
    WHERE o.id = leased.operation_id AND o.status = 'pending'
)
SELECT jsonb_build_object('id', operation_id) FROM leased
