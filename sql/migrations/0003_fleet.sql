-- What the fleet layer keeps for itself: who collects from a cell, and the counters of /v1/status.

-- One collector per cell at a time. epoch grows with every change of owner; each batch of statuses
-- carries it, and an older one changes nothing.
CREATE TABLE cell_lease (
    cell  text PRIMARY KEY REFERENCES cell,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON cell_lease TO flotilla_fleet;

-- Registries by cell and phase as last observed. Sixteen slots per counter, summed by the reader:
-- one row would make every create of the fleet wait for the one before it to reach the disk.
CREATE TABLE status_counter (
    cell  text NOT NULL,
    phase text NOT NULL,
    slot  integer NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (cell, phase, slot)
) WITH (fillfactor = 50);
ALTER TABLE status_counter ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_provider ON status_counter FOR SELECT TO flotilla_serve, flotilla_fleet
    USING (current_user = 'flotilla_fleet' OR (SELECT acting_as_provider()));
-- The triggers below run as the owner.
CREATE POLICY of_trigger ON status_counter TO flotilla_owner USING (true) WITH CHECK (true);
GRANT SELECT ON status_counter TO flotilla_serve, flotilla_fleet;

-- Once per statement, whoever wrote it, and only for what changed; in key order, so that two batches
-- cannot lock each other out.
CREATE FUNCTION status_counter_add(cells text[], phases text[], counts bigint[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    INSERT INTO status_counter AS c (cell, phase, slot, count)
    SELECT cell, phase, pg_backend_pid() % 16, sum(count)
    FROM unnest(cells, phases, counts) AS change (cell, phase, count)
    GROUP BY cell, phase
    HAVING sum(count) <> 0
    ORDER BY cell, phase
    ON CONFLICT (cell, phase, slot) DO UPDATE SET count = c.count + excluded.count
$$;
REVOKE ALL ON FUNCTION status_counter_add FROM PUBLIC;

CREATE FUNCTION registry_status_count() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    change record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(cell) AS cells, array_agg(phase) AS phases, array_agg(n) AS counts
        INTO change
        FROM (SELECT cell, phase, count(*) AS n FROM now_there GROUP BY 1, 2) AS grouped;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(cell) AS cells, array_agg(phase) AS phases, array_agg(n) AS counts
        INTO change
        FROM (SELECT cell, phase, -count(*) AS n FROM was_there GROUP BY 1, 2) AS grouped;
    ELSE
        SELECT array_agg(cell) AS cells, array_agg(phase) AS phases, array_agg(n) AS counts
        INTO change
        FROM (SELECT cell, phase, sum(n)::bigint AS n
              FROM (SELECT cell, phase, 1 AS n FROM now_there
                    UNION ALL
                    SELECT cell, phase, -1 FROM was_there) AS both_sides
              GROUP BY 1, 2
              HAVING sum(n) <> 0) AS grouped;
    END IF;
    IF change.cells IS NOT NULL THEN
        PERFORM status_counter_add(change.cells, change.phases, change.counts);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION registry_status_count FROM PUBLIC;

CREATE TRIGGER count_inserted AFTER INSERT ON registry_status
    REFERENCING NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION registry_status_count();
CREATE TRIGGER count_updated AFTER UPDATE ON registry_status
    REFERENCING NEW TABLE AS now_there OLD TABLE AS was_there
    FOR EACH STATEMENT EXECUTE FUNCTION registry_status_count();
CREATE TRIGGER count_deleted AFTER DELETE ON registry_status
    REFERENCING OLD TABLE AS was_there
    FOR EACH STATEMENT EXECUTE FUNCTION registry_status_count();
