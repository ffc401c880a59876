-- $1 id, $2 registries that it may have, $3 keys, $4 pipelines, $5 documents per second (-1 each: as before), $6 actor,
-- $7 request id
WITH changed AS (
    UPDATE tenant
    SET registry_limit = coalesce(nullif($2::integer, -1), registry_limit),
        key_limit = coalesce(nullif($3::integer, -1), key_limit),
        pipeline_limit = coalesce(nullif($4::integer, -1), pipeline_limit),
        document_limit = coalesce(nullif($5::integer, -1), document_limit)
    WHERE id = $1
    RETURNING id, registry_limit, key_limit, pipeline_limit, document_limit
)
INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id, detail)
SELECT id, $6, 'tenant.update', id, $7,
       jsonb_build_object('registryLimit', registry_limit, 'keyLimit', key_limit,
                          'pipelineLimit', pipeline_limit, 'documentLimit', document_limit)
FROM changed
