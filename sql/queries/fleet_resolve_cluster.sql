-- A person decided that the cell is right about resource $1 in cell $2: the row takes generation, spec and
-- lifecycle of the custom resource $3, and is made again if there is none. Without a custom resource the
-- resource was purged: the row becomes a tombstone. The spec of a pipeline is kept as it stands there.
WITH live AS (
    SELECT $3::jsonb AS object, $3::jsonb -> 'spec' AS spec, ($3::jsonb #>> '{spec,revision}')::bigint AS revision,
           $3::jsonb #> '{metadata,labels}' AS labels
), wanted AS (
    SELECT labels ->> 'flotilla.dev/tenant' AS tenant_id, object #>> '{metadata,name}' AS name,
           object #>> '{metadata,namespace}' AS namespace, spec ->> 'identity' AS identity, revision,
           CASE kind_of($1) WHEN 'pipeline' THEN spec - 'revision' ELSE jsonb_build_object('plan', (SELECT p.name FROM plan p WHERE upper(p.size) = live.spec ->> 'size'
                                       ORDER BY p.position LIMIT 1),
                              'version', spec -> 'version', 'host', spec -> 'host')
               || jsonb_strip_nulls(jsonb_build_object('components', spec -> 'components')) END AS spec,
           coalesce(spec -> 'credentials', '{}') AS credentials, coalesce(lower(spec ->> 'lifecycle'), 'active') AS lifecycle,
           CASE WHEN spec ->> 'lifecycle' = 'Closed'
                THEN coalesce((spec ->> 'purgeAfter')::timestamptz, now() + interval '30 days') END AS purge_after
    FROM live
    WHERE object IS NOT NULL
), taken AS (
    INSERT INTO resource AS r (id, tenant_id, name, identity, spec, credentials, lifecycle, purge_after, generation,
                               published, cell, namespace)
    SELECT $1, tenant_id, name, identity, spec, credentials, lifecycle, purge_after, revision, revision, $2, namespace
    FROM wanted
    ON CONFLICT (id) DO UPDATE
        SET spec = excluded.spec, credentials = excluded.credentials, lifecycle = excluded.lifecycle, purge_after = excluded.purge_after,
            generation = excluded.generation, published = excluded.published,
            cell = excluded.cell, purge_started_at = NULL, state = 'normal', updated_at = now()
        WHERE r.deleted_at IS NULL AND r.state = 'diverged' AND r.identity IS NOT DISTINCT FROM excluded.identity
    RETURNING r.id, r.tenant_id, r.generation
), buried AS (
    UPDATE resource
    SET state = 'normal', lifecycle = 'closed', purge_after = now(), purge_started_at = now(),
        deleted_at = now(), updated_at = now()
    WHERE $3::jsonb IS NULL AND id = $1 AND state = 'diverged' AND deleted_at IS NULL
    RETURNING id, tenant_id, generation
), forgotten AS (
    DELETE FROM resource_status s USING buried b WHERE s.resource_id = b.id
), shredded AS (
    UPDATE sealed_secret s SET kek_id = NULL, wrapped_dek = NULL, sealed = NULL, shredded_at = now()
    FROM buried b
    WHERE s.owner_kind = 'registry' AND s.owner_id = b.id AND s.shredded_at IS NULL
), observed AS (
    INSERT INTO resource_status (resource_id, tenant_id, phase)
    SELECT id, tenant_id, 'updating' FROM taken
    ON CONFLICT (resource_id) DO NOTHING
), remembered AS ( -- the spec names a hand-over: there was a secret, and it is not here
    INSERT INTO sealed_secret (id, tenant_id, owner_kind, owner_id, purpose, shredded_at)
    SELECT 'sec_' || substr(taken.id, 5), taken.tenant_id, 'registry', taken.id, 'admin-password', now()
    FROM taken, live
    WHERE live.spec ? 'adminSecretRef'
    ON CONFLICT (owner_kind, owner_id, purpose) DO NOTHING
), looked_at AS ( -- nothing happens in the cell that would tell of this row: a new epoch looks at all of it
    UPDATE cell_lease SET epoch = epoch + 1 WHERE cell = $2 AND EXISTS (SELECT FROM taken)
), resolved AS (
    SELECT * FROM taken UNION ALL SELECT * FROM buried
), work AS (
    INSERT INTO outbox AS o (resource_id, tenant_id, generation)
    SELECT id, tenant_id, generation FROM resolved
    ON CONFLICT (resource_id) DO UPDATE SET generation = excluded.generation, due_at = now(), attempts = 0
), told AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, detail)
    SELECT tenant_id, 'audit', kind_of(id) || '.resolve', id,
           jsonb_build_object('take', 'cluster', 'generation', generation)
    FROM resolved
)
SELECT id FROM resolved
