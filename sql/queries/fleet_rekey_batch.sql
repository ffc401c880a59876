-- Wrapped keys that are not under key $1: the next ones behind id $2, as far as they are under one of $3.
SELECT jsonb_build_object('id', id, 'tenant', tenant_id, 'owner', owner_kind || '/' || owner_id, 'purpose', purpose,
                          'kek', kek_id, 'wrappedDek', translate(encode(wrapped_dek, 'base64'), E'\n', ''))
FROM sealed_secret
WHERE shredded_at IS NULL AND kek_id <> $1 AND id > $2 AND $3::jsonb ? kek_id
ORDER BY id
LIMIT 200
