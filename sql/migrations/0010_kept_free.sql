-- The number is kept for a change that is made at the same time as 0011: that one takes this place.
SELECT 1;
