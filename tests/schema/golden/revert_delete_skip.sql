WITH batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
rec AS MATERIALIZED (SELECT c1, c2 FROM pawl.undo_7_2 WHERE batch_id = {31}::bigint),
restored AS (
INSERT INTO "public"."orders" ("id", "Total") OVERRIDING SYSTEM VALUE SELECT c1, c2 FROM rec WHERE NOT EXISTS (SELECT FROM ONLY "public"."orders" AS held WHERE held."id" = rec.c1) RETURNING 1
),
conflicts AS MATERIALIZED (
SELECT * FROM (
SELECT array_to_json(ARRAY[rec.c1::text])::text AS key, 'a row with this key exists again'::text AS reason, false AS forcible FROM rec WHERE EXISTS (SELECT FROM ONLY "public"."orders" AS held WHERE held."id" = rec.c1)
) AS c
 WHERE (SELECT count(*) FROM restored) < (SELECT count(*) FROM rec)
),
listed AS (
INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason, forced)
SELECT {7}::bigint, {2}::integer, {31}::bigint, key, reason, forcible AND false FROM conflicts RETURNING forced
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
