-- Who uses the fleet: tenants, their keys, the answers kept for repeated requests, the audit trail.
--
-- Row security stands on two settings that server/store sets for one transaction:
--   flotilla.tenant  the tenant that the request is about
--   flotilla.role    'provider' for the provider's own keys
-- Unset, or reset to '' by the end of the transaction, neither lets a row through. The tables' owner
-- is under the same policies (FORCE); only the owner creates and drops.

CREATE FUNCTION acting_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('flotilla.tenant', true), '') $$;

CREATE FUNCTION acting_as_provider() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(current_setting('flotilla.role', true), '') = 'provider' $$;

-- RFC 3339, UTC: how every time stands in an answer.
CREATE FUNCTION api_time(at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

GRANT USAGE ON SCHEMA public TO flotilla_serve, flotilla_fleet;
GRANT SELECT ON schema_migration TO flotilla_serve, flotilla_fleet;

CREATE TABLE tenant (
    id         text PRIMARY KEY CHECK (id ~ '^tn_[0-9a-v]{26}$'),
    name       text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 40),
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE tenant ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant FOR SELECT TO flotilla_serve, flotilla_owner
    USING (id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON tenant TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON tenant FOR SELECT TO flotilla_fleet USING (true);
GRANT SELECT, INSERT ON tenant TO flotilla_serve;
GRANT SELECT (id, name) ON tenant TO flotilla_fleet;

-- Only the hash of a key is kept: a random key of 260 bits needs no slow hash.
CREATE TABLE api_key (
    id          text PRIMARY KEY CHECK (id ~ '^key_[0-9a-v]{26}$'),
    prefix      text NOT NULL UNIQUE CHECK (prefix ~ '^[a-z2-7]{8}$'),
    secret_hash text NOT NULL CHECK (secret_hash ~ '^[0-9a-f]{64}$'),
    role        text NOT NULL CHECK (role IN ('provider', 'tenant')),
    tenant_id   text REFERENCES tenant,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 40),
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz,
    CHECK ((role = 'tenant') = (tenant_id IS NOT NULL))
);
CREATE INDEX ON api_key (tenant_id, id);
ALTER TABLE api_key ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON api_key TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON api_key TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
-- A log-in does not know its tenant yet: it sees the one row whose prefix it names.
CREATE POLICY of_login ON api_key FOR SELECT TO flotilla_serve
    USING (prefix = (SELECT nullif(current_setting('flotilla.key_prefix', true), '')));
GRANT SELECT, INSERT, UPDATE (revoked_at) ON api_key TO flotilla_serve;

-- The first answer to a request that carried an Idempotency-Key. tenant_id is that of the key which
-- asked; 'provider' for the provider's.
CREATE TABLE idempotency_key (
    tenant_id   text NOT NULL,
    principal   text NOT NULL,
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint text NOT NULL,
    status      integer,
    headers     jsonb,
    body        text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL DEFAULT now() + interval '7 days',
    PRIMARY KEY (tenant_id, principal, key)
);
CREATE INDEX ON idempotency_key (expires_at);
ALTER TABLE idempotency_key ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON idempotency_key TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON idempotency_key TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_key TO flotilla_serve;

-- One row per accepted change, written by the transaction that made it. Nobody may change or remove
-- one: no role has the right. tenant_id is NULL for what belongs to the provider.
CREATE TABLE audit_event (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    tenant_id   text,
    actor       text NOT NULL,
    action      text NOT NULL,
    resource_id text NOT NULL,
    request_id  text,
    detail      jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON audit_event (tenant_id, id);
CREATE INDEX ON audit_event (resource_id, id);
ALTER TABLE audit_event ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_event TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON audit_event TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON audit_event TO flotilla_fleet USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON audit_event TO flotilla_serve;
GRANT SELECT, INSERT ON audit_event TO flotilla_fleet;
