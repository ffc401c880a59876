-- $1 tenant, $2 the pipeline that is looked away from (NULL: a new one), $3 documents per second that it shall have.
-- tenant_lock ran before. No id comes back when the tenant's pipelines together would then ask for more than they may.
SELECT CASE WHEN used + $3::bigint <= may THEN tenant_id END AS id, used, may
FROM (SELECT t.id AS tenant_id, t.document_limit AS may,
             (SELECT coalesce(sum((r.spec ->> 'documentsPerSecond')::bigint), 0)
              FROM resource AS r
              WHERE r.tenant_id = t.id AND kind_of(r.id) = 'pipeline' AND r.lifecycle = 'active' AND r.deleted_at IS NULL
                AND r.id IS DISTINCT FROM $2) AS used
      FROM tenant AS t
      WHERE t.id = $1) AS quota
