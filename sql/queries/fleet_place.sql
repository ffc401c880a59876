-- $1 resource, $2 cell, $3 why; under fleet_place_lock. Recorded before anything is created; a cell is never changed here.
-- The last condition: pipelines of a tenant stay together, as `elsewhere` in fleet_cells.
UPDATE resource r
SET cell = c.name, placement = $3::jsonb || jsonb_build_object('at', api_time(now()))
FROM cell c
WHERE r.id = $1 AND r.cell IS NULL AND r.deleted_at IS NULL AND c.name = $2 AND c.state = 'open'
  AND c.capacity > (SELECT count(*) FROM resource other
                   WHERE other.cell = c.name AND kind_of(other.id) = kind_of(r.id) AND other.deleted_at IS NULL)
  AND (kind_of(r.id) <> 'pipeline' OR coalesce((SELECT bool_or(other.cell = c.name) FROM resource other
           WHERE other.tenant_id = r.tenant_id AND kind_of(other.id) = 'pipeline' AND other.cell IS NOT NULL
             AND other.deleted_at IS NULL), true))
RETURNING r.id
