-- $1 kind, $2 tenant, $3 id after which the page starts, $4 limit. The page first, then its bodies: a tenant may have many.
-- Without the stages of pipelines, up to 16 KiB each: of 500 they would be most of the page. Nor with what was cut of them.
SELECT page.id, shown.body #- '{status,stages}' #- '{status,stagesCut}' AS body
FROM (SELECT id
      FROM resource
      WHERE tenant_id = $2 AND kind_of(id) = $1 AND id > $3 AND deleted_at IS NULL
      ORDER BY id
      LIMIT $4) AS page,
LATERAL (SELECT body FROM api_resource WHERE kind = $1 AND tenant_id = $2 AND id = page.id) AS shown
ORDER BY page.id
