#include "cli/demo_table.h"

namespace pawl::cli {

void MakeDemoTable(db::Session& session, std::int64_t rows) {
  session.Execute(R"sql(
CREATE TABLE orders (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id bigint        NOT NULL,
  status      text          NOT NULL DEFAULT 'new',
  total       numeric(12,2) NOT NULL,
  currency    text          NOT NULL DEFAULT 'EUR',
  items       integer       NOT NULL DEFAULT 1,
  discount    numeric(5,2)  NOT NULL DEFAULT 0,
  email       text,
  note        text,
  address     jsonb         NOT NULL,
  created_at  timestamptz   NOT NULL DEFAULT now(),
  updated_at  timestamptz   NOT NULL DEFAULT now()
))sql");
  session.Query(R"sql(
INSERT INTO orders (customer_id, status, total, items, email, note, address, created_at)
SELECT n * 7919 % 100003,
       (ARRAY['new', 'paid', 'shipped', 'closed'])[1 + n % 4],
       (n * 37 % 1000000) / 100.0,
       1 + n % 9,
       'customer' || n * 7919 % 100003 || '@example.com',
       CASE WHEN n % 5 = 0 THEN 'leave it with the neighbours' END,
       jsonb_build_object('city', 'City ' || n % 500, 'street', 'Street ' || n % 3000,
                          'house', n % 200, 'zip', lpad((n % 99999)::text, 5, '0'),
                          'country', 'NL', 'phone', '+31 20 ' || n % 10000000,
                          'floor', n % 12, 'door', 'blue'),
       timestamptz '2024-01-01' + n * interval '20 seconds'
  FROM generate_series(1, $1::bigint) AS n)sql",
                {std::to_string(rows)});
  session.Execute("CREATE INDEX orders_customer ON orders (customer_id)");
  session.Execute("CREATE INDEX orders_created ON orders (created_at)");
  session.Execute("VACUUM ANALYZE orders");
}

}  // namespace pawl::cli
