-- The secret is not in the database; the prefix is how people recognise a key.
CREATE OR REPLACE VIEW api_api_key WITH (security_invoker = true) AS
SELECT id,
       tenant_id,
       revoked_at,
       jsonb_build_object('id', id, 'tenantId', tenant_id, 'name', name, 'prefix', 'flk_' || prefix,
                          'createdAt', api_time(created_at)) AS body
FROM api_key;

GRANT SELECT ON api_api_key TO flotilla_serve;
