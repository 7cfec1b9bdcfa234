WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_changed AS (
UPDATE ONLY "public"."orders" AS "o" SET cents = round(o.total * 100), tags = '{}'
 WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint
   AND (((("o"."id"::bigint) & 15) + 3 * ((("o"."id"::bigint) >> 4) & 15)) & 15) >= {4}::bigint AND (((("o"."id"::bigint) & 15) + 3 * ((("o"."id"::bigint) >> 4) & 15)) & 15) < {8}::bigint
   AND (
o.cents IS NULL -- not yet
   )
 RETURNING "o"."id" AS k1, "o"."cents" AS w1, "o"."tags" AS w2
),
pawl_summary AS (SELECT count(*) AS n, bit_xor(hash_record_extended(ROW(k1, w1, w2), 0))::text AS digest FROM pawl_changed)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {1}::integer, {5}::bigint, {42}::bigint, 'change', {["17"]}::text, {["4711"]}::text, {4}::integer, {8}::integer, pawl_summary.n, pawl_summary.digest, {9}::bigint, {NULL}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us
