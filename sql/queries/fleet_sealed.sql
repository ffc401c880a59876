-- The first admin password of registry $1, sealed; no row once it was shredded.
SELECT jsonb_build_object('id', id, 'tenant', tenant_id, 'owner', owner_kind || '/' || owner_id, 'purpose', purpose,
                          'kek', kek_id, 'wrappedDek', translate(encode(wrapped_dek, 'base64'), E'\n', ''),
                          'sealed', translate(encode(sealed, 'base64'), E'\n', ''))
FROM sealed_secret
WHERE owner_kind = 'registry' AND owner_id = $1 AND purpose = 'admin-password' AND shredded_at IS NULL
