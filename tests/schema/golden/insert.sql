WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_added AS (
INSERT INTO "old"."archive" AS pawl_target ("k", "t") OVERRIDING SYSTEM VALUE
SELECT o.id, o.total
  FROM ONLY "public"."orders" AS "o" JOIN customer AS c ON c.id = o.customer_id
 WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint
   AND (
o.total > 100
   )
 RETURNING hashtextextended(ROW("pawl_target"."k", "pawl_target"."t")::text, 0) AS h, "pawl_target"."k" AS k1
),
pawl_summary AS (SELECT count(*) AS n, sum(h::numeric)::text AS digest FROM pawl_added),
pawl_undo AS (INSERT INTO pawl.undo_7_2 (batch_id, k1, h) SELECT pawl_batch.id, array_agg(k1), array_agg(h) FROM pawl_batch, pawl_added GROUP BY pawl_batch.id)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {1}::integer, {5}::bigint, {42}::bigint, 'change', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, pawl_summary.n, pawl_summary.digest, {9}::bigint, {NULL}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us
