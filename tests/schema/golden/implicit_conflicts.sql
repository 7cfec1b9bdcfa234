SELECT concat_ws(', ', "o"."id"::text) FROM ONLY "public"."orders" AS "o" WHERE ("o"."cents" IS NOT NULL OR "o"."tags" IS NOT NULL) AND NOT (("o"."cents" IS NOT NULL OR "o"."tags" IS NOT NULL) AND ROW("o"."cents", ("o"."tags")::text)::record *= ROW((
round(o.total * 100)
)::numeric(12,0), ((
'{}'
)::text[])::text)::record) LIMIT 1000
