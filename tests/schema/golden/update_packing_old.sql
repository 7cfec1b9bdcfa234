WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id),
pawl_before AS MATERIALIZED (
SELECT "o"."region" AS k1, "o"."id" AS k2, "o"."cents" AS o1, "o"."tags" AS o2 FROM ONLY "public"."orders" AS "o", rates AS r
 WHERE ("o"."region", "o"."id") > ({eu}::text, {17}::integer) AND ("o"."region", "o"."id") <= ({us}::text, {4711}::integer)
   AND (
r.currency = o.currency
   )
),
pawl_packed AS MATERIALIZED (SELECT count(*) AS n, array_agg(k1) AS k1, array_agg(k2) AS k2, array_agg(o1) AS o1, array_agg(o2::text) AS o2 FROM (SELECT * FROM pawl_before ORDER BY k1, k2) AS s),
pawl_changed AS (
UPDATE ONLY "public"."orders" AS "o" SET cents = round(o.total * 100), tags = '{}'
  FROM rates AS r
 WHERE ("o"."region", "o"."id") > ({eu}::text, {17}::integer) AND ("o"."region", "o"."id") <= ({us}::text, {4711}::integer)
   AND (
r.currency = o.currency
   )
 RETURNING "o"."region" AS k1, "o"."id" AS k2, "o"."cents" AS w1, "o"."tags" AS w2
),
pawl_written AS MATERIALIZED (
SELECT count(*) AS n, bit_xor(hash_record_extended(ROW(k1, k2, w1, w2), 0))::text AS digest, array_agg(k1) AS k1, array_agg(k2) AS k2, array_agg(w1) AS w1, array_agg(w2::text) AS w2 FROM (SELECT * FROM pawl_changed ORDER BY k1, k2) AS s
),
pawl_undo AS (INSERT INTO pawl.undo_7_2 (batch_id, k1, k2, o1, o2, w1, w2) SELECT pawl_batch.id, pawl_packed.k1, pawl_packed.k2, pawl_packed.o1, pawl_packed.o2, pawl_written.w1, pawl_written.w2 FROM pawl_batch, pawl_packed, pawl_written WHERE pawl_written.n > 0)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {1}::integer, {5}::bigint, {42}::bigint, 'change', {["eu","17"]}::text, {["us","4711"]}::text, {0}::integer, {1}::integer, CASE WHEN ROW(pawl_packed.k1, pawl_packed.k2)::record *= ROW(pawl_written.k1, pawl_written.k2)::record THEN pawl_written.n ELSE ('pawl: undo and change disagree ' || pawl_packed.n || ' ' || pawl_written.n)::bigint END, pawl_written.digest, {9}::bigint, {NULL}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch, pawl_packed, pawl_written
RETURNING batch_id, rows, duration_us
