WITH batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
rec AS MATERIALIZED (SELECT x.* FROM pawl.undo_7_2 AS u, unnest(u.k1, u.h) AS x(k1, h) WHERE u.batch_id = {31}::bigint),
restored AS (
DELETE FROM "old"."archive" AS pawl_target USING rec WHERE "pawl_target"."k" = rec.k1 RETURNING 1
),
conflicts AS MATERIALIZED (
SELECT array_to_json(ARRAY[rec.k1::text])::text AS key, 'the row was changed since it was inserted'::text AS reason, true AS forcible FROM rec JOIN "old"."archive" AS pawl_target ON "pawl_target"."k" = rec.k1 WHERE hashtextextended(ROW("pawl_target"."k", "pawl_target"."t")::text, 0) <> rec.h
),
listed AS (
INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason, forced)
SELECT {7}::bigint, {2}::integer, {31}::bigint, key, reason, forcible AND true FROM conflicts RETURNING forced
),
summary AS (
SELECT (SELECT count(*) FROM restored) AS n,
       (SELECT count(*) FROM listed WHERE NOT forced) AS conflicts
)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT batch.id, {7}::bigint, {2}::integer, {-1}::integer, {5}::bigint, {42}::bigint, 'revert', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, summary.n, summary.conflicts::text, {9}::bigint, {31}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM batch, summary
RETURNING batch_id, rows, duration_us, digest
