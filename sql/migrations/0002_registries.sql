-- What is sold and where it runs: plans, cells, registries (spec apart from status), operations, and
-- the outbox that carries a change to the fleet layer.

-- A plan is a row of data. What its size means (portal replicas, connection limits) is the
-- operator's: reconcilers/registry/manifests/sizes.yaml, keyed by `size`.
CREATE TABLE plan (
    name     text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,19}$'),
    title    text NOT NULL,
    size     text NOT NULL, -- as in the CRD
    position integer NOT NULL UNIQUE
);
INSERT INTO plan (name, title, size, position)
VALUES ('s', 'Small', 'S', 1), ('m', 'Medium', 'M', 2), ('l', 'Large', 'L', 3);
GRANT SELECT ON plan TO flotilla_serve, flotilla_fleet;

CREATE TABLE cell (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    kubeconfig text NOT NULL CHECK (kubeconfig ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'), -- file name
    state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'cordoned')),
    capacity   integer NOT NULL CHECK (capacity BETWEEN 0 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE cell ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_provider ON cell TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON cell FOR SELECT TO flotilla_fleet USING (true);
GRANT SELECT, INSERT ON cell TO flotilla_serve;
GRANT SELECT ON cell TO flotilla_fleet;

-- The desired side. generation grows with every change of spec, lifecycle or purge_after; nothing
-- observed ever touches it. Rows are never deleted: deleted_at makes a tombstone, so that ids,
-- identities and namespaces are never used twice.
CREATE TABLE registry (
    id               text PRIMARY KEY CHECK (id ~ '^reg_[0-9a-v]{26}$'),
    tenant_id        text NOT NULL REFERENCES tenant,
    name             text NOT NULL CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    identity         text NOT NULL UNIQUE CHECK (identity ~ '^[a-z2-7]{16}$'),
    spec             jsonb NOT NULL, -- {plan, version, host}
    lifecycle        text NOT NULL DEFAULT 'active' CHECK (lifecycle IN ('active', 'closed')),
    purge_after      timestamptz,
    generation       bigint NOT NULL DEFAULT 1 CHECK (generation >= 1),
    cell             text REFERENCES cell,
    namespace        text NOT NULL UNIQUE CHECK (namespace = 'reg-' || substr(id, 5)),
    published        bigint NOT NULL DEFAULT 0, -- newest generation known to stand in the cell
    placement        jsonb, -- why this cell: {at, cell, reasons[], ...}
    state            text NOT NULL DEFAULT 'normal' CHECK (state IN ('normal', 'diverged')),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    purge_started_at timestamptz, -- set by the fleet before it deletes anything: no undo from here on
    deleted_at       timestamptz, -- set by the fleet when nothing is left in the cell
    CHECK ((lifecycle = 'closed') = (purge_after IS NOT NULL)),
    CHECK (purge_started_at IS NULL OR lifecycle = 'closed'),
    CHECK (deleted_at IS NULL OR purge_started_at IS NOT NULL)
);
CREATE UNIQUE INDEX registry_name_taken ON registry (tenant_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX registry_host_taken ON registry ((spec ->> 'host')) WHERE deleted_at IS NULL;
CREATE INDEX ON registry (tenant_id, id);
CREATE INDEX ON registry (cell, id);
CREATE INDEX ON registry (purge_after) WHERE lifecycle = 'closed' AND deleted_at IS NULL;
ALTER TABLE registry ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON registry TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON registry TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON registry TO flotilla_fleet USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON registry TO flotilla_serve;
GRANT UPDATE (spec, lifecycle, purge_after, generation, updated_at) ON registry TO flotilla_serve;
GRANT SELECT, INSERT, UPDATE (spec, lifecycle, purge_after, generation, cell, published, placement, state,
                      updated_at, purge_started_at, deleted_at) ON registry TO flotilla_fleet;

-- The observed side, written by the collector alone (serve inserts the first row and never again).
-- fillfactor leaves room to update rows in place: no index holds a column that changes.
CREATE TABLE registry_status (
    registry_id         text PRIMARY KEY REFERENCES registry,
    tenant_id           text NOT NULL REFERENCES tenant,
    cell                text NOT NULL DEFAULT '', -- where it was seen; '' = nowhere yet
    observed_generation bigint NOT NULL DEFAULT 0,
    phase               text NOT NULL DEFAULT 'creating'
        CHECK (phase IN ('creating', 'ready', 'updating', 'closed', 'deleting', 'error')),
    health              text NOT NULL DEFAULT 'unknown'
        CHECK (health IN ('healthy', 'degraded', 'down', 'unknown')),
    drift               text NOT NULL DEFAULT 'unknown'
        CHECK (drift IN ('in_sync', 'drifted', 'unknown')),
    reason              text,
    message             text,
    conditions          jsonb NOT NULL DEFAULT '[]',
    hash                text NOT NULL DEFAULT '', -- of the projection: an equal one is not written
    epoch               bigint NOT NULL DEFAULT 0, -- of the collector's lease: an older one is refused
    updated_at          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
ALTER TABLE registry_status ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON registry_status TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON registry_status TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON registry_status TO flotilla_fleet USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON registry_status TO flotilla_serve;
GRANT SELECT, INSERT, UPDATE, DELETE ON registry_status TO flotilla_fleet;

-- What a request set going. serve makes it pending and supersedes older ones; the fleet ends it.
CREATE TABLE operation (
    id                   text PRIMARY KEY CHECK (id ~ '^op_[0-9a-v]{26}$'),
    tenant_id            text NOT NULL REFERENCES tenant,
    registry_id          text NOT NULL REFERENCES registry,
    kind                 text NOT NULL CHECK (kind IN ('create', 'update', 'close', 'undo', 'purge')),
    requested_generation bigint NOT NULL,
    status               text NOT NULL DEFAULT 'pending' CHECK (status IN
        ('pending', 'running', 'succeeded', 'failed', 'cancelled', 'superseded')),
    error                jsonb, -- {code, detail}
    actor                text NOT NULL,
    request_id           text,
    created_at           timestamptz NOT NULL DEFAULT now(),
    started_at           timestamptz,
    finished_at          timestamptz,
    CHECK ((finished_at IS NULL) = (status IN ('pending', 'running')))
);
CREATE INDEX ON operation (tenant_id, id);
CREATE INDEX operation_open ON operation (registry_id) WHERE status IN ('pending', 'running');
CREATE INDEX ON operation (registry_id, id);
ALTER TABLE operation ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON operation TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON operation TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON operation TO flotilla_fleet USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (status, finished_at) ON operation TO flotilla_serve;
GRANT SELECT, INSERT, UPDATE (status, started_at, finished_at, error) ON operation TO flotilla_fleet;

-- One row per registry that has something to be carried out: a newer generation replaces an older
-- one that still waits. Taken with FOR UPDATE SKIP LOCKED, leased, done outside the transaction; who
-- is done removes the row only if its generation is still the one that was published.
CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    registry_id text NOT NULL UNIQUE REFERENCES registry,
    tenant_id   text NOT NULL REFERENCES tenant,
    generation  bigint NOT NULL,
    due_at      timestamptz NOT NULL DEFAULT now(),
    attempts    integer NOT NULL DEFAULT 0,
    lease_owner text,
    lease_until timestamptz,
    last_error  text,
    created_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX ON outbox (due_at);
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON outbox TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON outbox TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON outbox TO flotilla_fleet USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (generation, due_at, attempts) ON outbox TO flotilla_serve;
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO flotilla_fleet;
