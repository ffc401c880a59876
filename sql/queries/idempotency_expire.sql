-- A bounded bite, so that no transaction is long. `more`: there may be others.
WITH removed AS (
    DELETE FROM idempotency_key
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotency_key WHERE expires_at < now() LIMIT 1000))
    RETURNING 1
)
SELECT count(*) = 1000 AS more FROM removed
