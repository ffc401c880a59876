-- Pipelines beside registries. What a customer orders is a resource of one kind or another: one table for what they
-- have in common, so that the outbox, operations and the fleet's statements are the same for each.
CREATE FUNCTION kind_of(id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE split_part(id, '_', 1) WHEN 'reg' THEN 'registry' WHEN 'pl' THEN 'pipeline' END $$;

ALTER TABLE registry RENAME TO resource;
ALTER TABLE registry_status RENAME TO resource_status;
ALTER TABLE resource_status RENAME COLUMN registry_id TO resource_id;
ALTER TABLE operation RENAME COLUMN registry_id TO resource_id;
ALTER TABLE outbox RENAME COLUMN registry_id TO resource_id;
-- A view keeps the names of its columns, and CREATE OR REPLACE does not change them.
ALTER VIEW IF EXISTS api_operation RENAME COLUMN registry_id TO resource_id;

-- Registries have a namespace and an identity each; a tenant's pipelines share a namespace, where their workers are.
ALTER TABLE resource
    DROP CONSTRAINT registry_id_check,
    ADD CONSTRAINT resource_id_check CHECK (id ~ '^(reg|pl)_[0-9a-v]{26}$'),
    ALTER COLUMN identity DROP NOT NULL,
    ADD CHECK ((kind_of(id) = 'registry') = (identity IS NOT NULL)),
    DROP CONSTRAINT registry_namespace_key,
    DROP CONSTRAINT registry_check, -- of the namespace
    ADD CONSTRAINT resource_namespace_check CHECK (namespace = CASE kind_of(id)
        WHEN 'registry' THEN 'reg-' || substr(id, 5)
        ELSE 'tn-' || substr(tenant_id, 4) END);
DROP INDEX registry_name_taken;
CREATE UNIQUE INDEX resource_name_taken ON resource (tenant_id, kind_of(id), name) WHERE deleted_at IS NULL;
ALTER INDEX registry_host_taken RENAME TO resource_host_taken;
-- A pipeline's end has no grace period: what a tenant made and deleted must not be counted through.
CREATE INDEX resource_of_cell ON resource (cell, kind_of(id)) WHERE deleted_at IS NULL;
CREATE INDEX resource_of_tenant ON resource (tenant_id, kind_of(id), id) WHERE deleted_at IS NULL;

ALTER TABLE operation
    DROP CONSTRAINT operation_kind_check,
    ADD CONSTRAINT operation_kind_check
        CHECK (kind IN ('create', 'update', 'close', 'undo', 'purge', 'rotate', 'delete'));

-- What a tenant may have of pipelines: how many, and how many documents per second in all.
ALTER TABLE tenant
    ADD COLUMN pipeline_limit integer NOT NULL DEFAULT 100 CHECK (pipeline_limit BETWEEN 0 AND 10000),
    ADD COLUMN document_limit integer NOT NULL DEFAULT 100000 CHECK (document_limit BETWEEN 0 AND 100000000);
GRANT UPDATE (pipeline_limit, document_limit) ON tenant TO flotilla_serve;

-- The counters of /v1/status, by kind.
ALTER TABLE status_counter
    ADD COLUMN kind text NOT NULL DEFAULT 'registry',
    DROP CONSTRAINT status_counter_pkey,
    ADD PRIMARY KEY (kind, cell, phase, slot);
ALTER TABLE status_counter ALTER COLUMN kind DROP DEFAULT;

DROP TRIGGER count_inserted ON resource_status;
DROP TRIGGER count_updated ON resource_status;
DROP TRIGGER count_deleted ON resource_status;
DROP FUNCTION registry_status_count, status_counter_add;

-- [{kind, cell, phase, n}]; in key order, so that two batches cannot lock each other out.
CREATE FUNCTION status_counter_add(changes jsonb) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
    INSERT INTO status_counter AS c (kind, cell, phase, slot, count)
    SELECT kind, cell, phase, pg_backend_pid() % 16, sum(n)
    FROM jsonb_to_recordset(changes) AS change (kind text, cell text, phase text, n bigint)
    GROUP BY kind, cell, phase
    HAVING sum(n) <> 0
    ORDER BY kind, cell, phase
    ON CONFLICT (kind, cell, phase, slot) DO UPDATE SET count = c.count + excluded.count
$$;
REVOKE ALL ON FUNCTION status_counter_add FROM PUBLIC;

CREATE FUNCTION resource_status_count() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    changes jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT jsonb_agg(to_jsonb(g)) INTO changes
        FROM (SELECT kind_of(resource_id) AS kind, cell, phase, count(*) AS n FROM now_there GROUP BY 1, 2, 3) AS g;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT jsonb_agg(to_jsonb(g)) INTO changes
        FROM (SELECT kind_of(resource_id) AS kind, cell, phase, -count(*) AS n FROM was_there GROUP BY 1, 2, 3) AS g;
    ELSE
        SELECT jsonb_agg(to_jsonb(g)) INTO changes
        FROM (SELECT kind, cell, phase, sum(n) AS n
              FROM (SELECT kind_of(resource_id) AS kind, cell, phase, 1 AS n FROM now_there
                    UNION ALL
                    SELECT kind_of(resource_id), cell, phase, -1 FROM was_there) AS both_sides
              GROUP BY 1, 2, 3
              HAVING sum(n) <> 0) AS g;
    END IF;
    IF changes IS NOT NULL THEN
        PERFORM status_counter_add(changes);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION resource_status_count FROM PUBLIC;

CREATE TRIGGER count_inserted AFTER INSERT ON resource_status
    REFERENCING NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION resource_status_count();
CREATE TRIGGER count_updated AFTER UPDATE ON resource_status
    REFERENCING NEW TABLE AS now_there OLD TABLE AS was_there
    FOR EACH STATEMENT EXECUTE FUNCTION resource_status_count();
CREATE TRIGGER count_deleted AFTER DELETE ON resource_status
    REFERENCING OLD TABLE AS was_there
    FOR EACH STATEMENT EXECUTE FUNCTION resource_status_count();
