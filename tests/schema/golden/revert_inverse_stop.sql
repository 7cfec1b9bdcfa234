WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_rec AS MATERIALIZED (SELECT (xid::text::bigint % 4294967296)::text::xid AS pawl_xid, snapshot AS pawl_snapshot FROM pawl.ledger WHERE batch_id = {31}::bigint),
pawl_restored AS (
UPDATE ONLY "public"."orders" AS "o" SET cents = o.cents - 1 FROM pawl_rec WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint AND "o".xmin = pawl_rec.pawl_xid RETURNING 1
),
pawl_conflicts AS MATERIALIZED (
SELECT array_to_json(ARRAY["o"."id"::text])::text AS key, 'the row was changed after its batch'::text AS reason, true AS forcible FROM pawl_rec, ONLY "public"."orders" AS "o" WHERE "o"."id" > {17}::bigint AND "o"."id" <= {4711}::bigint AND "o".xmin <> pawl_rec.pawl_xid AND NOT pg_visible_in_snapshot((("o".xmin::text::bigint - (pg_snapshot_xmax(pawl_rec.pawl_snapshot)::text::bigint % 4294967296)) + pg_snapshot_xmax(pawl_rec.pawl_snapshot)::text::bigint)::text::xid8, pawl_rec.pawl_snapshot)
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
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {-1}::integer, {5}::bigint, {42}::bigint, 'revert', {["17"]}::text, {["4711"]}::text, {0}::integer, {1}::integer, CASE WHEN pawl_summary.conflicts > 0 THEN ('pawl: conflict ' || pawl_summary.n)::bigint ELSE pawl_summary.n END, pawl_summary.conflicts::text, {9}::bigint, {31}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_summary
RETURNING batch_id, rows, duration_us, digest
