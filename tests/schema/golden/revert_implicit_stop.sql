WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_changed AS (
UPDATE ONLY "public"."orders" AS "o" SET "cents" = CASE WHEN ROW("o"."cents", ("o"."tags")::text)::record *= ROW((
round(o.total * 100)
)::numeric(12,0), ((
'{}'
)::text[])::text)::record THEN NULL ELSE ('pawl: conflict ' || "o".ctid::text)::bigint::text::numeric(12,0) END, "tags" = NULL
 WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint
   AND (
("o"."cents" IS NOT NULL OR "o"."tags" IS NOT NULL)
   )
 RETURNING 1
),
pawl_summary AS (SELECT count(*) AS n, NULL::text AS digest FROM pawl_changed)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {-1}::integer, {5}::bigint, {42}::bigint, 'revert', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, pawl_summary.n, pawl_summary.digest, {9}::bigint, {NULL}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us
