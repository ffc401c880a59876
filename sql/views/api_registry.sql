-- A registry as its tenant sees it; the provider also sees where it is and why. The first admin password stands in no
-- table: only the answer that made it had it (server/handlers/registry.c).
CREATE OR REPLACE VIEW api_registry WITH (security_invoker = true) AS
SELECT e.id,
       e.tenant_id,
       e.generation,
       e.deleted_at,
       e.head || e.placement || jsonb_build_object(
           'spec', jsonb_build_object(
               'plan', e.spec -> 'plan',
               'version', e.spec -> 'version',
               'host', e.spec -> 'host',
               'components', coalesce(e.spec -> 'components', '{"trivy": false, "exporter": false}'),
               'lifecycle', e.lifecycle,
               'purgeAfter', api_time(e.purge_after)),
           'status', e.status || jsonb_build_object(
               'version', e.version,
               'url', 'https://' || (e.spec ->> 'host')),
           'usage', e.usage,
           'adminUsername', CASE WHEN a.id IS NOT NULL THEN 'admin' END,
           'adminPassword', CASE WHEN a.id IS NOT NULL THEN 'delivered' END) AS body
FROM api_envelope AS e
LEFT JOIN sealed_secret AS a ON a.owner_kind = 'registry' AND a.owner_id = e.id AND a.purpose = 'admin-password'
WHERE kind_of(e.id) = 'registry';

GRANT SELECT ON api_registry TO flotilla_serve;
