-- $1 tenant, $2 id, $3 actor, $4 request id. Nothing changes when it is revoked already.
WITH revoked AS (
    UPDATE api_key SET revoked_at = now()
    WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL
    RETURNING id, tenant_id
), noted AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, request_id)
    SELECT tenant_id, $3, 'api-key.revoke', id, $4 FROM revoked
)
SELECT id FROM api_key WHERE tenant_id = $1 AND id = $2
