-- The question $1 while $2 has its lease: `object` as a cell would get it (fleet_rows.sql), `fence` the labels that its
-- namespace has there, should it be there already.
SELECT jsonb_build_object(
    'id', operation_id,
    'fence', jsonb_build_object('metadata', jsonb_build_object('labels', of_tenant)),
    'object', jsonb_build_object(
        'apiVersion', 'scheduling.k8s.xxii.io/v1alpha1', 'kind', 'Pipeline',
        'metadata', jsonb_build_object('namespace', 'tn-' || substr(tenant_id, 4), 'name', name, 'labels', of_tenant),
        'spec', spec))
FROM preview,
LATERAL (SELECT jsonb_build_object('flotilla.dev/fleet', 'true', 'flotilla.dev/tenant', tenant_id)) AS labels (of_tenant)
WHERE operation_id = $1 AND lease_owner = $2
