// The table of `pawl demo` and the migration that it runs.
#pragma once

#include <cstdint>
#include <string>

#include "db/session.h"

namespace pawl::cli {

inline constexpr const char* kDemoMigration = R"sql(-- pawl: keep_in_sync

ALTER TABLE orders ADD COLUMN total_cents bigint;

UPDATE orders
   SET total_cents = round(total * 100)::bigint
 WHERE total_cents IS NULL;
)sql";

// Makes `orders`: 12 columns, a jsonb of about 150 bytes among them, and two secondary indexes;
// about 300 bytes a row. Throws db::Error.
void MakeDemoTable(db::Session& session, std::int64_t rows);

}  // namespace pawl::cli
