CREATE OR REPLACE VIEW api_cell WITH (security_invoker = true) AS
SELECT name,
       jsonb_build_object('name', name, 'kubeconfig', kubeconfig, 'state', state,
                          'capacity', capacity, 'createdAt', api_time(created_at)) AS body
FROM cell;

GRANT SELECT ON api_cell TO flotilla_serve;
