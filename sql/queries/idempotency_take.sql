-- $1 tenant, $2 principal, $3 key, $4 fingerprint. One row: this request is the first. None: another
-- was; we have waited for its transaction to end. An expired key counts as never used.
INSERT INTO idempotency_key AS k (tenant_id, principal, key, fingerprint)
VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, principal, key) DO UPDATE
SET fingerprint = excluded.fingerprint, created_at = now(), expires_at = excluded.expires_at,
    status = NULL, headers = NULL, body = NULL
WHERE k.expires_at < now()
RETURNING key
