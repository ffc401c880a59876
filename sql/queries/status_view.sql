SELECT body FROM api_status
