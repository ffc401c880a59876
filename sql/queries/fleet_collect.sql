-- A batch of projections $4 of cell $1 by collector $2 in epoch $3. The share lock makes a new collector
-- wait for this batch, and this batch find nothing once there is one. Rows with an equal hash are not
-- written; the counters follow by trigger; operations whose generation was reached end here: they fail where a
-- pipeline was rejected (a delete goes on all the same).
-- Answers: is the epoch ours, how many rows differed.
WITH held AS MATERIALIZED (
    SELECT epoch FROM cell_lease WHERE cell = $1 AND owner = $2 AND epoch = $3::bigint FOR SHARE
), batch AS MATERIALIZED (
    SELECT b.*
    FROM held, jsonb_to_recordset($4::jsonb) AS b (id text, phase text, health text, drift text, observed bigint,
                                                   reason text, message text, conditions jsonb, usage jsonb,
                                                   version text, stages jsonb, "stagesCut" text, waiting jsonb,
                                                   hash text)
), changed AS (
    UPDATE resource_status s
    SET cell = $1, epoch = $3::bigint, hash = b.hash, health = b.health, drift = b.drift, reason = b.reason,
        message = b.message, conditions = b.conditions, usage = coalesce(b.usage, s.usage),
        version = coalesce(b.version, s.version), stages = b.stages, stages_cut = b."stagesCut", waiting = b.waiting,
        observed_generation = b.observed, updated_at = now(),
        phase = CASE WHEN b.phase = 'updating' AND s.phase = 'creating' THEN 'creating' ELSE b.phase END
    FROM batch b
    WHERE s.resource_id = b.id AND s.epoch <= $3::bigint AND (s.hash <> b.hash OR s.cell <> $1)
    RETURNING s.resource_id
), ended AS (
    UPDATE operation o
    SET status = CASE b.phase WHEN 'error' THEN 'failed' ELSE 'succeeded' END,
        error = CASE b.phase WHEN 'error' THEN jsonb_build_object('code', b.reason, 'detail', b.message) END,
        started_at = coalesce(o.started_at, now()), finished_at = now()
    FROM batch b
    WHERE o.resource_id = b.id AND o.status IN ('pending', 'running') AND o.requested_generation <= b.observed
      AND CASE WHEN o.kind = 'delete' THEN false
               WHEN kind_of(b.id) = 'pipeline' THEN b.phase IN ('ready', 'error')
               ELSE b.phase = CASE o.kind WHEN 'close' THEN 'closed' ELSE 'ready' END END
)
SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM changed)
