SELECT "o".ctid::text FROM ONLY "public"."orders" AS "o" WHERE "o".ctid > {(0,0)}::tid AND "o".ctid <= {(64,0)}::tid ORDER BY "o".ctid OFFSET {999}::bigint LIMIT 1
