-- Every kind of resource, for the statements that are the same for each.
CREATE OR REPLACE VIEW api_resource WITH (security_invoker = true) AS
SELECT 'registry' AS kind, * FROM api_registry
UNION ALL
SELECT 'pipeline', * FROM api_pipeline;

GRANT SELECT ON api_resource TO flotilla_serve;
