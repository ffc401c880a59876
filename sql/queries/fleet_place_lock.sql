-- Before fleet_place, in its transaction: $1 cell. Two that count at the same time would both find the last place.
SELECT pg_advisory_xact_lock(hashtextextended('flotilla.place.' || $1, 0))
