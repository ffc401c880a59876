-- The whole fleet at a glance, from counters alone: it costs the same for ten resources and ten
-- million. Phases are as the cells last reported them.
CREATE OR REPLACE VIEW api_status WITH (security_invoker = true) AS
WITH counters AS (
    SELECT kind, cell, phase, sum(count)::bigint AS count
    FROM status_counter
    GROUP BY kind, cell, phase
    HAVING sum(count) <> 0
)
SELECT jsonb_object_agg(shown.member, jsonb_build_object(
           'total', coalesce((SELECT sum(count) FROM counters WHERE kind = shown.kind), 0),
           'byPhase', coalesce((SELECT jsonb_object_agg(phase, count)
                                FROM (SELECT phase, sum(count) AS count FROM counters
                                      WHERE kind = shown.kind
                                      GROUP BY phase) AS phases), '{}'),
           'byCell', coalesce((SELECT jsonb_agg(jsonb_build_object(
                                          'cell', nullif(cell, ''), 'phase', phase,
                                          'count', count) ORDER BY cell, phase)
                               FROM counters WHERE kind = shown.kind), '[]'))) AS body
FROM (VALUES ('registry', 'registries'), ('pipeline', 'pipelines')) AS shown (kind, member);

GRANT SELECT ON api_status TO flotilla_serve;
