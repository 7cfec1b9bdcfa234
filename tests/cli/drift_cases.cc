#include "tests/cli/drift_cases.h"

namespace pawl::test {

std::string DriftSchema() {
  return R"sql(
CREATE SCHEMA shop;
CREATE SCHEMA spare;
CREATE COLLATION shop.plain (LOCALE = 'C');
CREATE TYPE shop.mood AS ENUM ('bad', 'so', 'good');
CREATE TYPE shop.phase AS ENUM ('a', 'b', 'c');
CREATE DOMAIN shop.cents AS bigint DEFAULT 0 CONSTRAINT positive CHECK (VALUE >= 0);
CREATE TYPE shop.point AS (x integer, y integer);
CREATE TYPE shop.price_range AS RANGE (SUBTYPE = numeric);
CREATE SEQUENCE shop.numbers START 100;
CREATE FUNCTION shop.twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE PROCEDURE shop.sweep(IN days integer DEFAULT 7) LANGUAGE plpgsql AS 'BEGIN END';
CREATE AGGREGATE shop.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE TABLE shop.customer (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL CONSTRAINT email_once UNIQUE,
  mood shop.mood DEFAULT 'so',
  at shop.point,
  balance shop.cents NOT NULL,
  note varchar(40) COLLATE "C",
  born date,
  big text,
  doubled integer GENERATED ALWAYS AS (shop.twice(3)) STORED);
CREATE TABLE shop.orders (
  id serial PRIMARY KEY,
  customer bigint NOT NULL REFERENCES shop.customer ON DELETE CASCADE,
  number integer DEFAULT nextval('shop.numbers'),
  total numeric(10, 2) NOT NULL DEFAULT 0,
  state text NOT NULL DEFAULT 'new',
  placed timestamptz DEFAULT now(),
  CONSTRAINT total_sane CHECK (total >= 0));
INSERT INTO shop.customer (email, balance) SELECT 'c' || n, n FROM generate_series(1, 20) AS n;
INSERT INTO shop.orders (customer, total) SELECT n, n FROM generate_series(1, 20) AS n;
CREATE INDEX orders_state ON shop.orders (state) WHERE state <> 'done';
CREATE INDEX orders_twice ON shop.orders (shop.twice(id));
CREATE STATISTICS shop.orders_stats (dependencies) ON customer, state FROM shop.orders;
CREATE VIEW shop.open_orders AS SELECT id, customer, total FROM shop.orders WHERE state <> 'done';
CREATE VIEW shop.rich AS SELECT customer, sum(total) AS total FROM shop.open_orders GROUP BY customer;
CREATE MATERIALIZED VIEW shop.totals AS SELECT customer, sum(total) AS total FROM shop.orders GROUP BY customer;
CREATE UNIQUE INDEX totals_customer ON shop.totals (customer);
CREATE RULE no_delete AS ON DELETE TO shop.open_orders DO INSTEAD NOTHING;
CREATE TRIGGER stamp BEFORE UPDATE ON shop.orders FOR EACH ROW WHEN (OLD.total <> NEW.total) EXECUTE FUNCTION shop.stamp();
ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customer FOR SELECT USING (email = current_user);
CREATE TABLE shop.event (id bigint NOT NULL, at date NOT NULL, kind text DEFAULT 'x',
                         CONSTRAINT kind_short CHECK (length(kind) < 20), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE shop.event_2025 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.event_2026 PARTITION OF shop.event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX event_kind ON shop.event (kind);
CREATE TABLE shop.animal (id integer, name text);
CREATE TABLE shop.dog (barks boolean) INHERITS (shop.animal);
CREATE TABLE shop.loner (a integer, b text);
CREATE OPERATOR shop.=== (FUNCTION = int4eq, LEFTARG = integer, RIGHTARG = integer);
CREATE CAST (shop.point AS text) WITH INOUT AS ASSIGNMENT;
CREATE PUBLICATION sold FOR TABLE shop.orders;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER far FOREIGN DATA WRAPPER nothing OPTIONS (host 'a');
CREATE USER MAPPING FOR drift_reader SERVER far;
CREATE FOREIGN TABLE shop.remote (id integer, name text) SERVER far OPTIONS (tablename 't');
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION shop.on_ddl();
CREATE TEXT SEARCH DICTIONARY shop.words (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION shop.search (PARSER = default);
ALTER TEXT SEARCH CONFIGURATION shop.search ADD MAPPING FOR word WITH shop.words, simple;
GRANT USAGE ON SCHEMA shop TO drift_reader;
GRANT SELECT ON shop.orders, shop.rich TO drift_reader;
GRANT UPDATE (state) ON shop.orders TO drift_reader;
COMMENT ON TABLE shop.orders IS 'what was ordered';
COMMENT ON COLUMN shop.rich.total IS 'in euros';
ALTER DEFAULT PRIVILEGES IN SCHEMA spare GRANT SELECT ON TABLES TO drift_reader;
)sql";
}

const std::vector<DriftCase>& DriftCases() {
  static const std::vector<DriftCase> kCases = {
      // Schemas, extensions, types.
      {"CREATE SCHEMA other"},
      {"DROP SCHEMA spare CASCADE"},
      {"ALTER SCHEMA spare OWNER TO drift_reader"},
      {"CREATE COLLATION shop.german (PROVIDER = icu, LOCALE = 'de', DETERMINISTIC = false)"},
      {"DROP COLLATION shop.plain"},
      {"ALTER TYPE shop.mood ADD VALUE 'great'", true},
      {"ALTER TYPE shop.mood ADD VALUE 'awful' BEFORE 'bad'; ALTER TYPE shop.mood ADD VALUE 'worst' BEFORE 'awful'",
       true},
      {"ALTER TYPE shop.phase RENAME VALUE 'b' TO 'b b'", true},
      {"CREATE TYPE shop.size AS ENUM ('s', 'it''s, m')"},
      {"ALTER DOMAIN shop.cents DROP CONSTRAINT positive"},
      {"ALTER DOMAIN shop.cents ADD CONSTRAINT sane CHECK (VALUE < 1000000)"},
      {"ALTER DOMAIN shop.cents SET DEFAULT 5; ALTER DOMAIN shop.cents SET NOT NULL"},
      {"CREATE DOMAIN shop.mail AS text COLLATE shop.plain CHECK (VALUE LIKE '%@%')"},
      {"ALTER TYPE shop.point ADD ATTRIBUTE z integer"},
      {"CREATE TYPE shop.pair AS (a text, b shop.mood); ALTER TABLE shop.loner ADD p shop.pair"},
      {"DROP TYPE shop.price_range"},
      {"CREATE TYPE shop.days AS RANGE (SUBTYPE = date, SUBTYPE_DIFF = pg_catalog.daterange_subdiff)"},
      // Sequences.
      {"CREATE SEQUENCE shop.more AS integer INCREMENT 5 MAXVALUE 1000 CYCLE"},
      {"ALTER SEQUENCE shop.numbers CACHE 20 MINVALUE 10"},
      {"ALTER SEQUENCE shop.numbers OWNED BY shop.orders.number"},
      {"ALTER SEQUENCE shop.orders_id_seq OWNED BY NONE"},
      // Tables.
      {"CREATE TABLE shop.made (id serial PRIMARY KEY, a shop.mood NOT NULL DEFAULT 'bad', "
       "b integer GENERATED BY DEFAULT AS IDENTITY (START 7), c text COLLATE shop.plain UNIQUE, "
       "d integer GENERATED ALWAYS AS (shop.twice(4)) STORED, e shop.orders, "
       "f bigint REFERENCES shop.customer DEFERRABLE INITIALLY DEFERRED)"},
      {"DROP TABLE shop.loner"},
      {"CREATE UNLOGGED TABLE shop.\"Quick \"\"one\" (\"a b\" integer)"},
      {"ALTER TABLE shop.loner SET UNLOGGED"},
      {"ALTER TABLE shop.orders SET (autovacuum_enabled = off, fillfactor = 70, toast.autovacuum_enabled = off)"},
      {"ALTER TABLE shop.orders REPLICA IDENTITY FULL"},
      {"ALTER TABLE shop.customer REPLICA IDENTITY USING INDEX email_once"},
      {"ALTER TABLE shop.orders CLUSTER ON orders_pkey"},
      {"ALTER TABLE shop.customer DISABLE ROW LEVEL SECURITY"},
      {"ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"},
      {"ALTER TABLE shop.animal OWNER TO drift_reader"},
      {"CREATE TABLE shop.typed OF shop.point"},
      // Columns.
      {"ALTER TABLE shop.orders ADD COLUMN weight integer NOT NULL DEFAULT 5"},
      {"ALTER TABLE shop.orders ADD COLUMN row_number bigint GENERATED BY DEFAULT AS IDENTITY"},
      {"ALTER TABLE shop.orders ADD COLUMN gross numeric GENERATED ALWAYS AS (total * 1.2) STORED"},
      {"ALTER TABLE shop.orders DROP COLUMN placed"},
      {"ALTER TABLE shop.customer DROP COLUMN born", true},
      {"ALTER TABLE shop.orders RENAME COLUMN placed TO placed_at"},
      {"DROP VIEW shop.rich, shop.open_orders; DROP INDEX shop.orders_twice; ALTER TABLE shop.orders ALTER id TYPE bigint; "
       "CREATE VIEW shop.open_orders AS SELECT id, customer, total FROM shop.orders"},
      {"DROP VIEW shop.open_orders CASCADE; ALTER TABLE shop.orders ALTER state TYPE varchar(20)",
       true},
      {"ALTER TABLE shop.customer ALTER note TYPE varchar(50) COLLATE \"POSIX\""},
      {"ALTER TABLE shop.orders ALTER placed TYPE timestamp"},
      {"ALTER TABLE shop.orders ALTER total DROP NOT NULL, ALTER total DROP DEFAULT"},
      {"ALTER TABLE shop.orders ALTER placed SET NOT NULL, ALTER placed SET DEFAULT '2020-01-01'"},
      {"ALTER TABLE shop.customer ALTER id SET GENERATED BY DEFAULT SET INCREMENT BY 5 SET MAXVALUE 100000 SET CYCLE"},
      {"ALTER TABLE shop.customer ALTER id DROP IDENTITY"},
      {"ALTER TABLE shop.customer ALTER big SET STORAGE EXTERNAL, ALTER big SET STATISTICS 500, "
       "ALTER big SET (n_distinct = 20)"},
      {"ALTER TABLE shop.customer ALTER big SET COMPRESSION pglz"},
      {"ALTER TABLE shop.orders ALTER id DROP DEFAULT; DROP SEQUENCE shop.orders_id_seq"},
      // Constraints and indexes.
      {"ALTER TABLE shop.orders ADD CONSTRAINT small CHECK (total < 1000) NOT VALID"},
      {"ALTER TABLE shop.orders DROP CONSTRAINT total_sane, ADD CONSTRAINT total_sane CHECK (total > -1)"},
      {"ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey"},
      {"ALTER TABLE shop.orders ADD CONSTRAINT again FOREIGN KEY (customer) REFERENCES shop.customer NOT VALID; "
       "COMMENT ON CONSTRAINT again ON shop.orders IS 'second'"},
      {"ALTER TABLE shop.customer DROP CONSTRAINT customer_pkey CASCADE"},
      {"ALTER TABLE shop.orders ADD CONSTRAINT apart EXCLUDE USING btree (number WITH =) DEFERRABLE"},
      {"CREATE UNIQUE INDEX orders_number ON shop.orders (number DESC NULLS LAST) INCLUDE (total) WITH (fillfactor = 80)"},
      {"DROP INDEX shop.orders_state"},
      {"DROP INDEX shop.orders_twice; CREATE INDEX orders_twice ON shop.orders USING hash (id)"},
      {"ALTER INDEX shop.orders_twice ALTER COLUMN 1 SET STATISTICS 300"},
      {"COMMENT ON INDEX shop.orders_state IS 'open ones'"},
      {"DROP STATISTICS shop.orders_stats"},
      {"ALTER STATISTICS shop.orders_stats SET STATISTICS 50; CREATE STATISTICS shop.two ON (id + 1), state FROM shop.orders"},
      // Partitions and children.
      {"CREATE TABLE shop.event_2027 PARTITION OF shop.event FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"},
      {"ALTER TABLE shop.event DETACH PARTITION shop.event_2025"},
      {"DROP TABLE shop.event_2026"},
      {"ALTER TABLE shop.event ADD COLUMN extra integer DEFAULT 3 NOT NULL"},
      {"ALTER TABLE shop.event DROP COLUMN kind"},
      {"ALTER TABLE shop.event ALTER kind SET NOT NULL, ADD CONSTRAINT id_high CHECK (id > 0), DROP CONSTRAINT kind_short"},
      {"ALTER TABLE shop.event ALTER kind TYPE varchar(30)"},
      {"CREATE UNIQUE INDEX event_key ON shop.event (id, at, kind)"},
      {"DROP INDEX shop.event_kind"},
      {"ALTER TABLE shop.event DROP CONSTRAINT event_pkey"},
      {"CREATE TABLE shop.part (a integer PRIMARY KEY, b shop.mood) PARTITION BY HASH (a); "
       "CREATE TABLE shop.part_0 PARTITION OF shop.part FOR VALUES WITH (MODULUS 2, REMAINDER 0) PARTITION BY LIST (a); "
       "CREATE TABLE shop.part_00 PARTITION OF shop.part_0 DEFAULT; CREATE INDEX ON shop.part (b)"},
      {"DROP TABLE shop.event"},
      {"ALTER TABLE shop.dog NO INHERIT shop.animal", true},
      {"CREATE TABLE shop.cat (lives integer) INHERITS (shop.animal); ALTER TABLE shop.animal ADD COLUMN age integer DEFAULT 1",
       true},
      // Views, rules, triggers, policies.
      {"CREATE OR REPLACE VIEW shop.open_orders AS SELECT id, customer, total, placed FROM shop.orders"},
      {"ALTER VIEW shop.open_orders SET (security_barrier = on, check_option = local); "
       "ALTER VIEW shop.open_orders ALTER total SET DEFAULT 9"},
      {"DROP VIEW shop.rich"},
      {"DROP MATERIALIZED VIEW shop.totals; CREATE MATERIALIZED VIEW shop.totals AS SELECT 1 AS one WITH NO DATA"},
      {"ALTER MATERIALIZED VIEW shop.totals ALTER total SET STATISTICS 7; COMMENT ON COLUMN shop.totals.total IS 'sum'"},
      {"DROP RULE no_delete ON shop.open_orders"},
      {"CREATE RULE log AS ON UPDATE TO shop.loner DO ALSO INSERT INTO shop.loner VALUES (1, 'x'); "
       "ALTER TABLE shop.loner DISABLE RULE log"},
      {"ALTER TABLE shop.orders ENABLE ALWAYS TRIGGER stamp"},
      {"DROP TRIGGER stamp ON shop.orders; CREATE TRIGGER stamp AFTER INSERT OR UPDATE OF total ON shop.orders "
       "FOR EACH STATEMENT EXECUTE FUNCTION shop.stamp('a', '2')"},
      {"CREATE TRIGGER every AFTER INSERT ON shop.event FOR EACH ROW EXECUTE FUNCTION shop.stamp()"},
      {"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON shop.loner DEFERRABLE FOR EACH ROW EXECUTE FUNCTION shop.stamp()"},
      {"ALTER POLICY own ON shop.customer USING (balance > 0)"},
      {"CREATE POLICY wide ON shop.customer AS RESTRICTIVE FOR UPDATE TO drift_reader, CURRENT_USER USING (true) WITH CHECK (born IS NULL)"},
      // Functions and the like.
      {"CREATE OR REPLACE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' "
       "AS 'BEGIN NEW.total := 1; RETURN NEW; END'"},
      {"DROP FUNCTION shop.twice CASCADE; CREATE FUNCTION shop.twice(x integer) RETURNS bigint LANGUAGE sql AS 'SELECT 2::bigint'",
       true},
      {"CREATE FUNCTION shop.of_row(o shop.orders, VARIADIC rest text[] DEFAULT '{}') RETURNS TABLE (a integer, b text) "
       "LANGUAGE sql STABLE ROWS 5 AS 'SELECT o.id, o.state'"},
      {"DROP PROCEDURE shop.sweep"},
      {"DROP AGGREGATE shop.total(integer)"},
      {"CREATE AGGREGATE shop.glue(text, text) (SFUNC = string_agg_transfn, STYPE = internal, FINALFUNC = string_agg_finalfn)"},
      {"CREATE AGGREGATE shop.mid(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, "
       "FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA)"},
      {"DROP OPERATOR shop.=== (integer, integer)"},
      {"CREATE FUNCTION shop.back_cmp(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $2 - $1'; "
       "CREATE OPERATOR CLASS shop.back FOR TYPE integer USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, "
       "OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 shop.back_cmp(integer, integer); CREATE INDEX ON shop.loner (a shop.back)"},
      {"DROP CAST (shop.point AS text)"},
      {"CREATE FUNCTION shop.to_cents(text) RETURNS shop.point LANGUAGE sql AS 'SELECT NULL::shop.point'; "
       "CREATE CAST (text AS shop.point) WITH FUNCTION shop.to_cents(text)"},
      // Beside the tables.
      {"ALTER PUBLICATION sold SET (publish = 'insert, delete'); ALTER PUBLICATION sold ADD TABLE shop.loner"},
      {"CREATE PUBLICATION everything FOR ALL TABLES"},
      {"DROP PUBLICATION sold"},
      {"DROP EVENT TRIGGER watch"},
      {"ALTER EVENT TRIGGER watch DISABLE; COMMENT ON EVENT TRIGGER watch IS 'quiet'"},
      {"ALTER SERVER far OPTIONS (SET host 'b', ADD port '1'); CREATE USER MAPPING FOR PUBLIC SERVER far"},
      {"DROP USER MAPPING FOR drift_reader SERVER far"},
      {"ALTER FOREIGN TABLE shop.remote OPTIONS (SET tablename 'u', ADD fetch '1'), ADD COLUMN more integer OPTIONS (name 'x'); "
       "ALTER FOREIGN TABLE shop.remote ALTER name OPTIONS (a 'b')"},
      {"DROP FOREIGN TABLE shop.remote"},
      {"DROP SERVER far CASCADE; DROP FOREIGN DATA WRAPPER nothing"},
      {"ALTER TEXT SEARCH CONFIGURATION shop.search ALTER MAPPING FOR word WITH simple; "
       "ALTER TEXT SEARCH CONFIGURATION shop.search ADD MAPPING FOR email WITH simple"},
      {"DROP TEXT SEARCH CONFIGURATION shop.search; DROP TEXT SEARCH DICTIONARY shop.words"},
      {"CREATE EXTENSION citext; ALTER TABLE shop.loner ADD c public.citext"},
      // Comments, grants.
      {"COMMENT ON TABLE shop.orders IS 'it''s what was bought'; COMMENT ON COLUMN shop.orders.total IS 'sum'"},
      {"COMMENT ON TABLE shop.orders IS NULL; COMMENT ON DOMAIN shop.cents IS 'c'; "
       "COMMENT ON CONSTRAINT positive ON DOMAIN shop.cents IS 'p'; COMMENT ON POLICY own ON shop.customer IS 'o'"},
      {"GRANT INSERT, DELETE ON shop.orders TO drift_reader WITH GRANT OPTION; GRANT SELECT ON shop.orders TO PUBLIC"},
      {"REVOKE SELECT ON shop.orders FROM drift_reader; REVOKE UPDATE (state) ON shop.orders FROM drift_reader"},
      {"REVOKE EXECUTE ON FUNCTION shop.twice FROM PUBLIC; GRANT EXECUTE ON PROCEDURE shop.sweep TO drift_reader"},
      {"GRANT USAGE ON SEQUENCE shop.numbers TO drift_reader; GRANT USAGE ON TYPE shop.mood TO drift_reader; "
       "REVOKE USAGE ON TYPE shop.cents FROM PUBLIC; GRANT USAGE ON FOREIGN SERVER far TO drift_reader"},
      {"GRANT CREATE ON SCHEMA shop TO drift_reader; REVOKE ALL ON shop.loner FROM CURRENT_USER"},
      {"ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT EXECUTE ON FUNCTIONS TO drift_reader; "
       "ALTER DEFAULT PRIVILEGES IN SCHEMA spare REVOKE SELECT ON TABLES FROM drift_reader"},
      {"ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"},
  };
  return kCases;
}

}  // namespace pawl::test
