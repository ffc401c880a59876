-- Under key $1 from now on: $2, an array of {id, was, wrappedDek}. What was shredded or wrapped anew by somebody
-- else meanwhile stays as it is. Answers how many changed.
WITH held AS MATERIALIZED ( -- in one order, so that two of these cannot lock each other out
    SELECT s.id, b."wrappedDek"
    FROM jsonb_to_recordset($2::jsonb) AS b (id text, was text, "wrappedDek" text)
    JOIN sealed_secret s ON s.id = b.id AND s.kek_id = b.was AND s.shredded_at IS NULL
    ORDER BY s.id
    FOR UPDATE OF s
), changed AS (
    UPDATE sealed_secret s SET kek_id = $1, wrapped_dek = decode(held."wrappedDek", 'base64')
    FROM held
    WHERE s.id = held.id
    RETURNING s.id
)
SELECT count(*) FROM changed
