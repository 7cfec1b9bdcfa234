WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_removed AS (
DELETE FROM ONLY "public"."orders" AS "o"
 WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint
   AND (
o."Total" < 0
   )
 RETURNING "o"."id" AS c1, "o"."Total" AS c2
),
pawl_summary AS (SELECT count(*) AS n, bit_xor(hash_record_extended(ROW(c1, c2), 0))::text AS digest FROM pawl_removed),
pawl_undo AS (INSERT INTO pawl.undo_7_2 (batch_id, c1, c2) SELECT pawl_batch.id, pawl_removed.c1, pawl_removed.c2 FROM pawl_batch, pawl_removed)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {1}::integer, {5}::bigint, {42}::bigint, 'change', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, pawl_summary.n, pawl_summary.digest, {9}::bigint, {NULL}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us
