-- Why an operation failed, in words, names servers of the provider's: tenants get the code. So does why a dry run asked
-- this cell: result and error without placement. A dry run has no resource.
CREATE OR REPLACE VIEW api_operation WITH (security_invoker = true) AS
SELECT id,
       tenant_id,
       resource_id,
       status IN ('pending', 'running') AS open,
       jsonb_build_object(
           'id', id,
           'tenantId', tenant_id,
           'kind', kind,
           'resource', CASE WHEN resource_id IS NOT NULL THEN jsonb_build_object(
               'type', kind_of(resource_id), 'id', resource_id,
               'href', '/v1/tenants/' || tenant_id || '/'
                       || CASE kind_of(resource_id) WHEN 'pipeline' THEN 'pipelines' ELSE 'registries' END
                       || '/' || resource_id) END,
           'requestedGeneration', requested_generation,
           'status', status,
           'error', CASE WHEN acting_as_provider() THEN error ELSE error - '{detail,placement}'::text[] END,
           'result', CASE WHEN acting_as_provider() THEN result ELSE result - 'placement' END,
           'actor', actor,
           'requestId', request_id,
           'createdAt', api_time(created_at),
           'startedAt', api_time(started_at),
           'finishedAt', api_time(finished_at)) AS body
FROM operation;

GRANT SELECT ON api_operation TO flotilla_serve;
