-- A registry as its tenant sees it: reasons, no messages, which name servers and users of the provider's. The provider
-- also sees those, and where it is and why. The first admin password stands in no table: only the answer that made it
-- had it (server/handlers/registry.c). The phase is what the cell last reported, overlaid by what the row knows and
-- the cell cannot know yet.
CREATE OR REPLACE VIEW api_registry WITH (security_invoker = true) AS
SELECT r.id,
       r.tenant_id,
       r.generation,
       r.deleted_at,
       jsonb_build_object(
           'id', r.id,
           'tenantId', r.tenant_id,
           'name', r.name,
           'createdAt', api_time(r.created_at),
           'updatedAt', api_time(greatest(r.updated_at, s.updated_at)),
           'generation', r.generation,
           'spec', jsonb_build_object(
               'plan', r.spec -> 'plan',
               'version', r.spec -> 'version',
               'host', r.spec -> 'host',
               'components', coalesce(r.spec -> 'components', '{"trivy": false, "exporter": false}'),
               'lifecycle', r.lifecycle,
               'purgeAfter', api_time(r.purge_after)),
           'status', jsonb_build_object(
               'observedGeneration', s.observed_generation,
               'phase', CASE
                   WHEN r.state = 'diverged' THEN 'error' -- first: nothing is deleted for such a row
                   WHEN r.purge_after <= now() THEN 'deleting'
                   WHEN s.observed_generation = 0 AND s.phase = 'error' THEN 'error'
                   WHEN s.observed_generation = 0 THEN 'creating'
                   WHEN s.observed_generation < r.generation THEN 'updating'
                   ELSE s.phase
               END,
               'health', s.health,
               'version', s.version,
               'drift', CASE r.state WHEN 'diverged' THEN 'diverged' ELSE s.drift END,
               'reason', CASE r.state WHEN 'diverged' THEN 'Diverged' ELSE s.reason END,
               'message', CASE WHEN acting_as_provider() THEN s.message END,
               'conditions', CASE
                   WHEN acting_as_provider() THEN s.conditions
                   ELSE (SELECT coalesce(jsonb_agg(c - 'message'), '[]')
                         FROM jsonb_array_elements(s.conditions) AS c)
               END,
               'url', 'https://' || (r.spec ->> 'host')),
           'usage', s.usage,
           'currentOperations', coalesce(
               (SELECT jsonb_agg(jsonb_build_object(
                           'id', o.id, 'kind', o.kind, 'status', o.status,
                           'href', '/v1/tenants/' || o.tenant_id || '/operations/' || o.id)
                       ORDER BY o.id)
                FROM operation AS o
                WHERE o.registry_id = r.id AND o.status IN ('pending', 'running')),
               '[]'),
           'adminUsername', CASE WHEN a.id IS NOT NULL THEN 'admin' END,
           'adminPassword', CASE WHEN a.id IS NOT NULL THEN 'delivered' END)
       || CASE WHEN acting_as_provider() THEN jsonb_build_object(
              'placement', jsonb_build_object(
                  'cell', r.cell, 'namespace', r.namespace, 'identity', r.identity,
                  'decision', r.placement))
          ELSE '{}' END AS body
FROM registry AS r
LEFT JOIN registry_status AS s ON s.registry_id = r.id
LEFT JOIN sealed_secret AS a ON a.owner_kind = 'registry' AND a.owner_id = r.id AND a.purpose = 'admin-password';

GRANT SELECT ON api_registry TO flotilla_serve;
