-- Of the stages a list tells nothing (sql/queries/resource_list.sql).
CREATE OR REPLACE VIEW api_pipeline WITH (security_invoker = true) AS
SELECT id,
       tenant_id,
       generation,
       deleted_at,
       head || placement || jsonb_build_object(
           'spec', spec,
           'status', status || jsonb_build_object('stages', stages, 'stagesCut', stages_cut, 'waiting', waiting)) AS body
FROM api_envelope
WHERE kind_of(id) = 'pipeline';

GRANT SELECT ON api_pipeline TO flotilla_serve;
