SELECT pg_relation_size('"public"."orders"'::regclass) / current_setting('block_size')::bigint
