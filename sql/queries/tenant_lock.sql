-- $1 tenant. Until the end of the transaction nobody else makes anything for it. A statement of its own: what
-- comes after it counts what others have committed meanwhile.
SELECT pg_advisory_xact_lock(hashtextextended('tenant ' || $1, 0))
