SELECT position, body FROM api_plan ORDER BY position
