-- A dry run of a pipeline asks its cell whether there is room. The question is an operation without a resource, and its
-- result what the cell would do; here it waits until the fleet has asked.
ALTER TABLE operation
    ALTER COLUMN resource_id DROP NOT NULL,
    ADD COLUMN result jsonb, -- at most 128 KiB as text (reconcilers/fleet/ask.c)
    DROP CONSTRAINT operation_kind_check,
    ADD CONSTRAINT operation_kind_check
        CHECK (kind IN ('create', 'update', 'close', 'undo', 'purge', 'rotate', 'delete', 'preview')),
    ADD CONSTRAINT operation_resource_check CHECK ((kind = 'preview') = (resource_id IS NULL)),
    ADD CONSTRAINT operation_result_check CHECK (result IS NULL OR kind = 'preview');
CREATE INDEX operation_previews ON operation (created_at) WHERE kind = 'preview';
CREATE INDEX operation_previews_of_tenant ON operation (tenant_id) WHERE kind = 'preview';
GRANT UPDATE (result), DELETE ON operation TO flotilla_fleet;
-- What a change left behind is kept for good; a dry run changed nothing, and its answer grows old.
CREATE POLICY of_fleet_only_previews ON operation AS RESTRICTIVE FOR DELETE TO flotilla_fleet USING (kind = 'preview');

-- One row per dry run that has no answer yet: the outbox of questions. Taken and leased as in outbox; who has the answer
-- removes the row, and the operation ends in the same statement. At `until` it ends without one.
CREATE TABLE preview (
    operation_id text PRIMARY KEY REFERENCES operation ON DELETE CASCADE,
    tenant_id    text NOT NULL REFERENCES tenant,
    name         text NOT NULL,
    spec         jsonb NOT NULL,
    due_at       timestamptz NOT NULL DEFAULT now(),
    until        timestamptz NOT NULL DEFAULT now() + interval '30 s',
    attempts     integer NOT NULL DEFAULT 0,
    lease_owner  text,
    lease_until  timestamptz,
    last_error   jsonb -- {code, detail}, the operation's when the time is over
) WITH (fillfactor = 70);
CREATE INDEX ON preview (due_at);
CREATE INDEX ON preview (tenant_id);
ALTER TABLE preview ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON preview TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON preview TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON preview TO flotilla_fleet USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON preview TO flotilla_serve;
GRANT SELECT, DELETE, UPDATE (due_at, attempts, lease_owner, lease_until, last_error) ON preview TO flotilla_fleet;
