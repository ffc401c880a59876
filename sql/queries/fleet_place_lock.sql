-- Before fleet_place, in its transaction: $1 cell, $2 resource. Two that count at the same time would both find the last
-- place, and two pipelines of a tenant could go to two cells: everybody takes the cell's lock before the tenant's.
SELECT pg_advisory_xact_lock(hashtextextended('flotilla.place.' || $1, 0)),
       (SELECT pg_advisory_xact_lock(hashtextextended('flotilla.place.' || tenant_id, 0)) FROM resource WHERE id = $2)
