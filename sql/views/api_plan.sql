CREATE OR REPLACE VIEW api_plan WITH (security_invoker = true) AS
SELECT position,
       jsonb_build_object('name', name, 'title', title, 'size', size) AS body
FROM plan;

GRANT SELECT ON api_plan TO flotilla_serve;
