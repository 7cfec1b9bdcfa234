WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_rec AS MATERIALIZED (SELECT c1, c2 FROM pawl.undo_7_2 WHERE batch_id = {31}::bigint),
pawl_restored AS (
INSERT INTO "public"."orders" ("id", "Total") OVERRIDING SYSTEM VALUE SELECT c1, c2 FROM pawl_rec WHERE NOT EXISTS (SELECT FROM ONLY "public"."orders" AS pawl_held WHERE pawl_held."id" = pawl_rec.c1) RETURNING hashtextextended(ROW("id", "Total")::text, 0) AS h
),
pawl_conflicts AS MATERIALIZED (
SELECT * FROM (
SELECT array_to_json(ARRAY[pawl_rec.c1::text])::text AS key, 'a row with this key exists again'::text AS reason, false AS forcible FROM pawl_rec WHERE EXISTS (SELECT FROM ONLY "public"."orders" AS pawl_held WHERE pawl_held."id" = pawl_rec.c1)
) AS c
 WHERE (SELECT count(*) FROM pawl_restored) < (SELECT count(*) FROM pawl_rec)
),
pawl_listed AS (
INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason, forced)
SELECT {7}::bigint, {2}::integer, {31}::bigint, key, reason, forcible AND false FROM pawl_conflicts RETURNING forced
),
pawl_summary AS (
SELECT (SELECT count(*) FROM pawl_restored) AS n,
       (SELECT count(*) FROM pawl_listed WHERE NOT forced) AS conflicts
)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {-1}::integer, {5}::bigint, {42}::bigint, 'revert', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, CASE WHEN pawl_summary.n + pawl_summary.conflicts < (SELECT count(*) FROM pawl_rec) AND pawl_summary.n + pawl_summary.conflicts + (SELECT 0) < (SELECT count(*) FROM pawl_rec) THEN ('pawl: not restored ' || pawl_summary.n)::bigint WHEN (SELECT sum(h::numeric) FROM pawl_restored) IS DISTINCT FROM (SELECT sum(hashtextextended(ROW(c1, c2)::text, 0)::numeric) FROM pawl_rec WHERE NOT EXISTS (SELECT FROM ONLY "public"."orders" AS pawl_held WHERE pawl_held."id" = pawl_rec.c1)) THEN ('pawl: not restored ' || pawl_summary.n)::bigint ELSE pawl_summary.n END, pawl_summary.conflicts::text, {9}::bigint, {31}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us, digest
