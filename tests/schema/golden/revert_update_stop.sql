WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_rec AS MATERIALIZED (SELECT x.* FROM pawl.undo_7_2 AS u, unnest(u.k1, u.o1, u.o2, u.w1, u.w2) AS x(k1, o1, o2, w1, w2) WHERE u.batch_id = {31}::bigint),
pawl_restored AS (
UPDATE ONLY "public"."orders" AS "o" SET "cents" = pawl_rec.o1, "tags" = pawl_rec.o2::text[] FROM pawl_rec WHERE "o"."id" = pawl_rec.k1 AND ROW("o"."cents", ("o"."tags")::text)::record *= ROW(pawl_rec.w1, (pawl_rec.w2::text[])::text)::record RETURNING ROW("o"."cents", ("o"."tags")::text)::record *= ROW(pawl_rec.o1, (pawl_rec.o2::text[])::text)::record AS is_same
),
pawl_conflicts AS MATERIALIZED (
SELECT * FROM (
SELECT array_to_json(ARRAY[pawl_rec.k1::text])::text AS key, CASE WHEN "o"."id" IS NULL THEN 'the row no longer exists'
            ELSE 'the row holds another value than the migration wrote' END AS reason,
            "o"."id" IS NOT NULL AS forcible
  FROM pawl_rec LEFT JOIN ONLY "public"."orders" AS "o" ON "o"."id" = pawl_rec.k1
 WHERE ("o"."id" IS NULL OR NOT ROW("o"."cents", ("o"."tags")::text)::record *= ROW(pawl_rec.w1, (pawl_rec.w2::text[])::text)::record)
   AND NOT ("o"."id" IS NOT NULL AND ROW("o"."cents", ("o"."tags")::text)::record *= ROW(pawl_rec.o1, (pawl_rec.o2::text[])::text)::record)
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
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {-1}::integer, {5}::bigint, {42}::bigint, 'revert', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, CASE WHEN pawl_summary.conflicts > 0 THEN ('pawl: conflict ' || pawl_summary.n)::bigint WHEN pawl_summary.n + pawl_summary.conflicts < (SELECT count(*) FROM pawl_rec) AND pawl_summary.n + pawl_summary.conflicts + (SELECT count(*) FROM pawl_rec JOIN ONLY "public"."orders" AS "o" ON "o"."id" = pawl_rec.k1 WHERE ROW("o"."cents", ("o"."tags")::text)::record *= ROW(pawl_rec.o1, (pawl_rec.o2::text[])::text)::record AND NOT ROW("o"."cents", ("o"."tags")::text)::record *= ROW(pawl_rec.w1, (pawl_rec.w2::text[])::text)::record) < (SELECT count(*) FROM pawl_rec) THEN ('pawl: not restored ' || pawl_summary.n)::bigint WHEN EXISTS (SELECT FROM pawl_restored WHERE NOT is_same) THEN ('pawl: not restored ' || pawl_summary.n)::bigint ELSE pawl_summary.n END, pawl_summary.conflicts::text, {9}::bigint, {31}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us, digest
