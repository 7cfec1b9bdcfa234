WITH pawl_rec AS MATERIALIZED (SELECT x.* FROM pawl.undo_7_2 AS u, unnest(u.k1, u.o1, u.o2, u.w1, u.w2) AS x(k1, o1, o2, w1, w2) WHERE u.batch_id = {31}::bigint),
pawl_conflicts AS (
SELECT array_to_json(ARRAY[pawl_rec.k1::text])::text AS key, CASE WHEN "o"."id" IS NULL THEN 'the row no longer exists'
            ELSE 'the row holds another value than the migration wrote' END AS reason,
            "o"."id" IS NOT NULL AS forcible
  FROM pawl_rec LEFT JOIN ONLY "public"."orders" AS "o" ON "o"."id" = pawl_rec.k1
 WHERE ("o"."id" IS NULL OR NOT ROW("o"."cents", ("o"."tags")::text)::record *= ROW(pawl_rec.w1, (pawl_rec.w2::text[])::text)::record)
   AND NOT ("o"."id" IS NOT NULL AND ROW("o"."cents", ("o"."tags")::text)::record *= ROW(pawl_rec.o1, (pawl_rec.o2::text[])::text)::record)
)
SELECT key, reason FROM pawl_conflicts
