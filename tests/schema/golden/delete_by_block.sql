WITH batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
removed AS (
DELETE FROM ONLY "public"."orders" AS "o"
 WHERE "o".ctid > {(0,0)}::tid AND "o".ctid <= {(64,0)}::tid
   AND (
o."Total" < 0
   )
 RETURNING "o"."id" AS c1, "o"."Total" AS c2
),
summary AS (SELECT count(*) AS n, sum(hash_record_extended(ROW(c1, c2), 0)::numeric)::text AS digest FROM removed)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT batch.id, {7}::bigint, {2}::integer, {1}::integer, {5}::bigint, {42}::bigint, 'change', {["(0,0)"]}::text, {["(64,0)"]}::text, {0}::integer, {1}::integer, summary.n, summary.digest, {9}::bigint, {NULL}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM batch, summary
RETURNING batch_id, rows, duration_us
