-- The whole fleet at a glance, from counters alone: it costs the same for ten registries and ten
-- million. Phases are as the cells last reported them.
CREATE OR REPLACE VIEW api_status WITH (security_invoker = true) AS
WITH counters AS (
    SELECT cell, phase, sum(count)::bigint AS count
    FROM status_counter
    GROUP BY cell, phase
    HAVING sum(count) <> 0
)
SELECT jsonb_build_object(
           'registries', jsonb_build_object(
               'total', coalesce((SELECT sum(count) FROM counters), 0),
               'byPhase', coalesce((SELECT jsonb_object_agg(phase, count)
                                    FROM (SELECT phase, sum(count) AS count FROM counters
                                          GROUP BY phase) AS phases), '{}'),
               'byCell', coalesce((SELECT jsonb_agg(jsonb_build_object(
                                              'cell', nullif(cell, ''), 'phase', phase,
                                              'count', count) ORDER BY cell, phase)
                                   FROM counters), '[]'))) AS body;

GRANT SELECT ON api_status TO flotilla_serve;
