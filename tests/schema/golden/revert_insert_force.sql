WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_rec AS MATERIALIZED (SELECT x.* FROM pawl.undo_7_2 AS u, unnest(u.k1, u.h) AS x(k1, h) WHERE u.batch_id = {31}::bigint),
pawl_restored AS (
DELETE FROM "old"."archive" AS pawl_target USING pawl_rec WHERE "pawl_target"."k" = pawl_rec.k1 RETURNING 1
),
pawl_conflicts AS MATERIALIZED (
SELECT array_to_json(ARRAY[pawl_rec.k1::text])::text AS key, 'the row was changed since it was inserted'::text AS reason, true AS forcible FROM pawl_rec JOIN "old"."archive" AS pawl_target ON "pawl_target"."k" = pawl_rec.k1 WHERE hashtextextended(ROW("pawl_target"."k", "pawl_target"."t")::text, 0) <> pawl_rec.h
),
pawl_listed AS (
INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason, forced)
SELECT {7}::bigint, {2}::integer, {31}::bigint, key, reason, forcible AND true FROM pawl_conflicts RETURNING forced
),
pawl_summary AS (
SELECT (SELECT count(*) FROM pawl_restored) AS n,
       (SELECT count(*) FROM pawl_listed WHERE NOT forced) AS conflicts
)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {-1}::integer, {5}::bigint, {42}::bigint, 'revert', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, CASE WHEN pawl_summary.n + pawl_summary.conflicts < (SELECT count(*) FROM pawl_rec) AND pawl_summary.n + pawl_summary.conflicts + (SELECT count(*) FROM pawl_rec WHERE NOT EXISTS (SELECT FROM "old"."archive" AS pawl_target WHERE "pawl_target"."k" = pawl_rec.k1)) < (SELECT count(*) FROM pawl_rec) THEN ('pawl: not restored ' || pawl_summary.n)::bigint ELSE pawl_summary.n END, pawl_summary.conflicts::text, {9}::bigint, {31}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us, digest
