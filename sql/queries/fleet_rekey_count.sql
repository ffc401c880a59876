-- How many secrets each key wraps.
SELECT jsonb_build_object('kek', kek_id, 'count', count(*))
FROM sealed_secret
WHERE shredded_at IS NULL
GROUP BY kek_id
ORDER BY kek_id
