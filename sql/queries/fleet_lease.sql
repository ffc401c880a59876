-- Takes or renews the right to collect: $1 cells, $2 owner, $3 milliseconds, $4 also from a living holder.
-- The epoch grows when the owner changes; who is refused gets no row.
INSERT INTO cell_lease AS l (cell, owner, epoch, until)
SELECT c.name, $2, 1, clock_timestamp() + $3::integer * interval '1 ms'
FROM cell c
WHERE $1::jsonb ? c.name
ORDER BY c.name
ON CONFLICT (cell) DO UPDATE
    SET owner = excluded.owner, until = excluded.until,
        epoch = l.epoch + CASE WHEN l.owner = excluded.owner THEN 0 ELSE 1 END
    WHERE l.owner = excluded.owner OR l.until < clock_timestamp() OR $4::boolean
RETURNING jsonb_build_object('cell', l.cell, 'epoch', l.epoch)
