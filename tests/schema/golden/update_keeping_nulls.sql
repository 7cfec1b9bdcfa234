WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_changed AS (
UPDATE ONLY "public"."orders" AS "o" SET cents = round(o.total * 100), tags = '{}'
 WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint
   AND (
o.cents IS NULL -- not yet
   )
 RETURNING "o"."id" AS k1, "o"."cents" AS w1, "o"."tags" AS w2
),
pawl_summary AS (SELECT count(*) AS n, bit_xor(hash_record_extended(ROW(k1, w1, w2), 0))::text AS digest, array_agg(k1) AS k1, array_fill(NULL::numeric(12,0), ARRAY[count(*)::integer]) AS o1, array_fill(NULL::text, ARRAY[count(*)::integer]) AS o2, array_agg(w1) AS w1, array_agg(w2::text) AS w2 FROM pawl_changed),
pawl_undo AS (INSERT INTO pawl.undo_7_2 (batch_id, k1, o1, o2, w1, w2) SELECT pawl_batch.id, pawl_summary.k1, pawl_summary.o1, pawl_summary.o2, pawl_summary.w1, pawl_summary.w2 FROM pawl_batch, pawl_summary WHERE pawl_summary.n > 0)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {1}::integer, {5}::bigint, {42}::bigint, 'change', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, pawl_summary.n, pawl_summary.digest, {9}::bigint, {NULL}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us
