-- What $1 has leased is free at once.
WITH cells AS (
    UPDATE cell_lease SET until = clock_timestamp() WHERE owner = $1 AND until > clock_timestamp()
), previews AS (
    UPDATE preview SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1
)
UPDATE outbox SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1
