CREATE OR REPLACE VIEW api_tenant WITH (security_invoker = true) AS
SELECT id,
       jsonb_build_object('id', id, 'name', name, 'registryLimit', registry_limit, 'keyLimit', key_limit,
                          'pipelineLimit', pipeline_limit, 'documentLimit', document_limit,
                          'createdAt', api_time(created_at)) AS body
FROM tenant;

GRANT SELECT ON api_tenant TO flotilla_serve;
