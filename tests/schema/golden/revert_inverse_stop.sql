WITH batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
rec AS MATERIALIZED (SELECT (xid::text::bigint % 4294967296)::text::xid AS xid, snapshot FROM pawl.ledger WHERE batch_id = {31}::bigint),
restored AS (
UPDATE ONLY "public"."orders" AS "o" SET cents = o.cents - 1 FROM rec WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint AND "o".xmin = rec.xid RETURNING 1
),
conflicts AS MATERIALIZED (
SELECT array_to_json(ARRAY["o"."id"::text])::text AS key, 'the row was changed after its batch'::text AS reason, true AS forcible FROM rec, ONLY "public"."orders" AS "o" WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint AND "o".xmin <> rec.xid AND NOT pg_visible_in_snapshot((("o".xmin::text::bigint - (pg_snapshot_xmax(rec.snapshot)::text::bigint % 4294967296)) + pg_snapshot_xmax(rec.snapshot)::text::bigint)::text::xid8, rec.snapshot)
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
SELECT batch.id, {7}::bigint, {2}::integer, {-1}::integer, {5}::bigint, {42}::bigint, 'revert', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, CASE WHEN summary.conflicts = 0 THEN summary.n ELSE ('pawl: conflict ' || summary.conflicts)::bigint END, summary.conflicts::text, {9}::bigint, {31}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM batch, summary
RETURNING batch_id, rows, duration_us, digest
