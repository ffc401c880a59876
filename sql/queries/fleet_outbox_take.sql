-- Leases work: $1 owner, $2 how many, $3 milliseconds, $4 also what another owner holds,
-- $5 cells that get no more for now, $6 resources that this process works on: another row of its own
-- is one whose end it could not record.
-- Rows for which no cell had room come last and one at a time: any number of them, always due again, would else
-- stand before all others.
WITH placed AS (
    SELECT o.id, r.cell
    FROM outbox o JOIN resource r ON r.id = o.resource_id
    WHERE (r.cell IS NULL AND o.last_error LIKE 'NoCell:%') IS NOT TRUE
      AND o.due_at <= now()
      AND (o.lease_until IS NULL OR o.lease_until < now() OR o.lease_owner = $1 OR $4::boolean)
      AND (r.cell IS NULL OR NOT $5::jsonb ? r.cell)
      AND NOT $6::jsonb ? o.resource_id
    ORDER BY o.due_at
    LIMIT $2::integer
    FOR UPDATE OF o SKIP LOCKED
), homeless AS (
    SELECT o.id, r.cell
    FROM outbox o JOIN resource r ON r.id = o.resource_id
    WHERE r.cell IS NULL AND o.last_error LIKE 'NoCell:%'
      AND o.due_at <= now()
      AND (o.lease_until IS NULL OR o.lease_until < now() OR o.lease_owner = $1 OR $4::boolean)
      AND NOT $6::jsonb ? o.resource_id
    ORDER BY o.due_at
    LIMIT 1
    FOR UPDATE OF o SKIP LOCKED
), picked AS (
    (TABLE placed UNION ALL TABLE homeless) LIMIT $2::integer
)
UPDATE outbox o
SET lease_owner = $1, lease_until = now() + $3::integer * interval '1 ms'
FROM picked
WHERE o.id = picked.id
RETURNING jsonb_build_object('id', o.resource_id, 'generation', o.generation, 'cell', picked.cell)
