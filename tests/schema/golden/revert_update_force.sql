WITH batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
rec AS MATERIALIZED (SELECT x.* FROM pawl.undo_7_2 AS u, unnest(u.k1, u.o1, u.o2, u.w1, u.w2) AS x(k1, o1, o2, w1, w2) WHERE u.batch_id = {31}::bigint),
restored AS (
UPDATE ONLY "public"."orders" AS "o" SET "cents" = rec.o1, "tags" = rec.o2::text[] FROM rec WHERE "o"."id" = rec.k1 RETURNING 1
),
conflicts AS MATERIALIZED (
SELECT array_to_json(ARRAY[rec.k1::text])::text AS key, CASE WHEN "o"."id" IS NULL THEN 'the row no longer exists'
            ELSE 'the row holds another value than the migration wrote' END AS reason,
            "o"."id" IS NOT NULL AS forcible
  FROM rec LEFT JOIN ONLY "public"."orders" AS "o" ON "o"."id" = rec.k1
 WHERE ("o"."id" IS NULL OR NOT ROW("o"."cents", ("o"."tags")::text)::record *= ROW(rec.w1, (rec.w2::text[])::text)::record)
   AND NOT ("o"."id" IS NOT NULL AND ROW("o"."cents", ("o"."tags")::text)::record *= ROW(rec.o1, (rec.o2::text[])::text)::record)
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
