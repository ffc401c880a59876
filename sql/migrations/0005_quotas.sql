-- What a tenant may have. Checked when something is made, under a lock of the tenant: who has more
-- already keeps it.
ALTER TABLE tenant
    ADD COLUMN registry_limit integer NOT NULL DEFAULT 100 CHECK (registry_limit BETWEEN 0 AND 10000),
    ADD COLUMN key_limit      integer NOT NULL DEFAULT 50 CHECK (key_limit BETWEEN 0 AND 10000);
GRANT UPDATE (registry_limit, key_limit) ON tenant TO flotilla_serve;
