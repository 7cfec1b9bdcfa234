WITH pawl_batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {7}::bigint, {2}::integer, {1}::integer, {5}::bigint, {42}::bigint, 'change', {NULL}::text, {["17"]}::text, {0}::integer, {1}::integer, 0, NULL, {9}::bigint, {NULL}::bigint,
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM pawl_batch
RETURNING batch_id, rows, duration_us
