-- Registry $1 is made anew, as its cell was restored to before it: another first admin password in the place of the
-- shredded one, under key $2; $3 wrapped data key and $4 text, both in base64.
WITH sealed AS (
    UPDATE sealed_secret s
    SET kek_id = $2, wrapped_dek = decode($3, 'base64'), sealed = decode($4, 'base64'), delivered_at = NULL, shredded_at = NULL
    FROM resource r
    WHERE r.id = $1 AND r.published = 0 AND r.deleted_at IS NULL
      AND s.owner_kind = 'registry' AND s.owner_id = r.id AND s.purpose = 'admin-password' AND s.shredded_at IS NOT NULL
    RETURNING s.id, s.tenant_id
), told AS (
    INSERT INTO audit_event (tenant_id, actor, action, resource_id, detail)
    SELECT tenant_id, 'fleet', 'secret.seal', id, jsonb_build_object('registry', $1::text) FROM sealed
)
SELECT id FROM sealed
