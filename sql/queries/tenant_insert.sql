-- $1 id, $2 name, $3 registries that it may have, $4 keys, $5 pipelines, $6 documents per second, $7 actor, $8 request id
WITH made AS (
    INSERT INTO tenant (id, name, registry_limit, key_limit, pipeline_limit, document_limit)
    VALUES ($1, $2, $3::integer, $4::integer, $5::integer, $6::integer) RETURNING id
)
INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
SELECT id, $7, 'tenant.create', id, $8,
       jsonb_build_object('name', $2::text, 'registryLimit', $3::integer, 'keyLimit', $4::integer,
                          'pipelineLimit', $5::integer, 'documentLimit', $6::integer)
FROM made
