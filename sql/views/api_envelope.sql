-- What all kinds of resources say alike; the views of the kinds add what is theirs. The phase is what the cell last
-- reported, overlaid by what the row knows and the cell cannot know yet. Messages about registries name servers and users
-- of the provider's: tenants get the reasons. Those about pipelines name their own stages and classes.
CREATE OR REPLACE VIEW api_envelope WITH (security_invoker = true) AS
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
           'currentOperations', coalesce(
               (SELECT jsonb_agg(jsonb_build_object(
                           'id', o.id, 'kind', o.kind, 'status', o.status,
                           'href', '/v1/tenants/' || o.tenant_id || '/operations/' || o.id)
                       ORDER BY o.id)
                FROM operation AS o
                WHERE o.resource_id = r.id AND o.status IN ('pending', 'running')),
               '[]')) AS head,
       jsonb_build_object(
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
           'drift', CASE r.state WHEN 'diverged' THEN 'diverged' ELSE s.drift END,
           'reason', CASE r.state WHEN 'diverged' THEN 'Diverged' ELSE s.reason END,
           'message', CASE WHEN shown.messages THEN s.message END,
           'conditions', CASE
               WHEN shown.messages THEN s.conditions
               ELSE (SELECT coalesce(jsonb_agg(c - 'message'), '[]')
                     FROM jsonb_array_elements(s.conditions) AS c)
           END) AS status,
       CASE WHEN acting_as_provider() THEN jsonb_build_object(
           'placement', jsonb_strip_nulls(jsonb_build_object('identity', r.identity))
                        || jsonb_build_object('cell', r.cell, 'namespace', r.namespace, 'decision', r.placement))
       ELSE '{}' END AS placement,
       r.spec,
       r.lifecycle,
       r.purge_after,
       s.version,
       s.usage,
       s.stages,
       s.stages_cut,
       s.waiting
FROM resource AS r
LEFT JOIN resource_status AS s ON s.resource_id = r.id,
LATERAL (SELECT acting_as_provider() OR kind_of(r.id) = 'pipeline') AS shown (messages);

GRANT SELECT ON api_envelope TO flotilla_serve;
