SELECT "o"."region"::text, "o"."id"::text FROM ONLY "public"."orders" AS "o" ORDER BY "o"."region" DESC, "o"."id" DESC LIMIT 1
