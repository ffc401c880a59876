-- Secrets that the fleet layer has to keep for a while, sealed by server/adapters/envelope.h: a data key of its own
-- per row, wrapped by a key that the database never sees. Both boxes are nonce, ciphertext and tag, and are bound
-- to tenant, owner, purpose and id: in another row they do not open.
--
-- serve makes a row and cannot read its boxes; fleet opens, wraps anew and shreds, and changes nothing else of it. A row
-- stays when it was shredded: it tells that there was a secret, and keeps the name of its hand-over in the spec.
CREATE TABLE sealed_secret (
    id           text PRIMARY KEY CHECK (id ~ '^sec_[0-9a-v]{26}$'),
    tenant_id    text NOT NULL REFERENCES tenant,
    owner_kind   text NOT NULL CHECK (owner_kind = 'registry'),
    owner_id     text NOT NULL,
    purpose      text NOT NULL CHECK (purpose = 'admin-password'),
    kek_id       text CHECK (kek_id ~ '^[a-z0-9-]{1,32}$'),
    wrapped_dek  bytea CHECK (octet_length(wrapped_dek) = 60),
    sealed       bytea CHECK (octet_length(sealed) BETWEEN 29 AND 1048604),
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz, -- the owner's cell keeps it
    shredded_at  timestamptz, -- we do not: delivered, or purged with its owner
    UNIQUE (owner_kind, owner_id, purpose),
    CHECK ((kek_id IS NULL) = (shredded_at IS NOT NULL)),
    CHECK ((wrapped_dek IS NULL) = (shredded_at IS NOT NULL)),
    CHECK ((sealed IS NULL) = (shredded_at IS NOT NULL)),
    CHECK (delivered_at IS NULL OR shredded_at IS NOT NULL)
);
CREATE INDEX sealed_secret_live ON sealed_secret (kek_id, id) WHERE shredded_at IS NULL;
ALTER TABLE sealed_secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON sealed_secret TO flotilla_serve, flotilla_owner
    USING (tenant_id = (SELECT acting_tenant())) WITH CHECK (tenant_id = (SELECT acting_tenant()));
CREATE POLICY of_provider ON sealed_secret TO flotilla_serve, flotilla_owner
    USING ((SELECT acting_as_provider())) WITH CHECK ((SELECT acting_as_provider()));
CREATE POLICY of_fleet ON sealed_secret TO flotilla_fleet USING (true) WITH CHECK (true);
GRANT INSERT ON sealed_secret TO flotilla_serve;
GRANT SELECT (id, tenant_id, owner_kind, owner_id, purpose, created_at, delivered_at, shredded_at)
    ON sealed_secret TO flotilla_serve;
GRANT SELECT, INSERT ON sealed_secret TO flotilla_fleet; -- of a registry that is taken in: a shredded one
GRANT UPDATE (kek_id, wrapped_dek, sealed, delivered_at, shredded_at) ON sealed_secret TO flotilla_fleet;
