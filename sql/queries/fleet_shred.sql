-- The cell of registry $1 keeps its admin password: we forget it. The row stays, see fleet_rows.sql.
WITH shredded AS (
    UPDATE sealed_secret
    SET kek_id = NULL, wrapped_dek = NULL, sealed = NULL, delivered_at = now(), shredded_at = now()
    WHERE owner_kind = 'registry' AND owner_id = $1 AND purpose = 'admin-password' AND shredded_at IS NULL
    RETURNING id, tenant_id
), told AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, detail)
    SELECT tenant_id, 'fleet', 'secret.shred', id, jsonb_build_object('registry', $1::text) FROM shredded
)
SELECT id FROM shredded
