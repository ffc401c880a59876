-- Rows as reconcilers/fleet/resource.h describes them: $1 ids, or NULL for all behind $2, 1000 at a time.
-- `object` is the custom resource as the cell shall have it, `fence` the namespace around it: of a registry alone, or of
-- all pipelines of a tenant and their workers. `handover` is the Secret with the first admin password, without it,
-- while that is still here; `spent` its id where it was here and is to be handed over once more, as the registry is
-- made anew. The name of that Secret stays in
-- the spec for good: what is published does not change when it was handed over. It is the same in each cell, so
-- that the fleet's rights can be for this name alone. An unknown plan becomes a size that the cell refuses by name.
SELECT jsonb_build_object(
    'id', r.id, 'tenant', r.tenant_id, 'cell', r.cell, 'namespace', r.namespace, 'name', r.name,
    'identity', r.identity, 'generation', r.generation, 'published', r.published,
    'closed', r.lifecycle = 'closed', 'due', r.lifecycle = 'closed' AND r.purge_after <= now(),
    'purging', r.purge_started_at IS NOT NULL, 'diverged', r.state = 'diverged',
    'tombstone', r.deleted_at IS NOT NULL,
    'fence', jsonb_build_object(
        'apiVersion', 'v1', 'kind', 'Namespace',
        'metadata', jsonb_build_object('name', r.namespace, 'labels',
            CASE kind_of(r.id) WHEN 'pipeline' THEN labels.of_tenant ELSE labels.of_both || '{"flotilla.dev/managed": "true"}' END
            || jsonb_build_object('pod-security.kubernetes.io/enforce', 'restricted',
                                  'pod-security.kubernetes.io/enforce-version', 'latest'))),
    'handover', CASE WHEN a.id IS NOT NULL AND a.shredded_at IS NULL THEN jsonb_build_object(
        'apiVersion', 'v1', 'kind', 'Secret', 'type', 'Opaque', 'immutable', true,
        'metadata', jsonb_build_object('namespace', r.namespace, 'name', 'admin-handover', 'labels', labels.of_both)) END,
    'spent', CASE WHEN r.published = 0 AND a.shredded_at IS NOT NULL THEN a.id END,
    'object', jsonb_build_object(
        'metadata', jsonb_build_object('namespace', r.namespace, 'name', r.name, 'labels', labels.of_both))
        || CASE kind_of(r.id) WHEN 'pipeline' THEN jsonb_build_object(
            'apiVersion', 'scheduling.k8s.xxii.io/v1alpha1', 'kind', 'Pipeline',
            'spec', r.spec || jsonb_build_object('revision', r.generation))
        ELSE jsonb_build_object(
            'apiVersion', 'registry.flotilla.dev/v1alpha1', 'kind', 'Registry',
            'spec', jsonb_strip_nulls(jsonb_build_object(
                'revision', r.generation, 'identity', r.identity, 'version', r.spec -> 'version',
                'size', coalesce(upper(p.size), 'plan ' || (r.spec ->> 'plan')), 'host', r.spec -> 'host',
                'components', r.spec -> 'components', 'credentials', nullif(r.credentials, '{}'),
                'lifecycle', initcap(r.lifecycle), 'purgeAfter', api_time(r.purge_after),
                'deletionPolicy', 'Retain',
                'adminSecretRef', CASE WHEN a.id IS NOT NULL THEN jsonb_build_object('name', 'admin-handover') END)))
        END)
FROM resource r
LEFT JOIN plan p ON p.name = r.spec ->> 'plan'
LEFT JOIN sealed_secret a ON a.owner_kind = 'registry' AND a.owner_id = r.id AND a.purpose = 'admin-password',
LATERAL (SELECT jsonb_build_object('flotilla.dev/fleet', 'true', 'flotilla.dev/tenant', r.tenant_id,
                                   'app.kubernetes.io/managed-by', 'flotilla')) AS tenant_labels (of_tenant),
LATERAL (SELECT of_tenant, of_tenant || jsonb_build_object(
             'flotilla.dev/' || kind_of(r.id) || '-id', r.id)) AS labels (of_tenant, of_both)
WHERE ($1::jsonb IS NULL OR r.id IN (SELECT jsonb_array_elements_text($1::jsonb))) AND r.id > $2
ORDER BY r.id
LIMIT 1000
