-- $1 name, $2 kubeconfig's file name, $3 capacity, $4 actor, $5 request id
WITH made AS (
    INSERT INTO cell (name, kubeconfig, capacity) VALUES ($1, $2, $3) RETURNING name
)
INSERT INTO audit_event (actor, action, resource_id, request_id, detail)
SELECT $4, 'cell.create', name, $5,
       jsonb_build_object('kubeconfig', $2::text, 'capacity', $3::integer)
FROM made
