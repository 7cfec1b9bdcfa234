// Finds the programs of a PostgreSQL server on this machine. The order is the same in
// scripts/lib/postgres.bash.
#pragma once

#include <string>

namespace pawl::control {

// Where this machine's initdb and postgres are: $PAWL_PG_BINDIR, else what `pg_config --bindir`
// says, else the highest /usr/lib/postgresql/*/bin or /usr/pgsql-*/bin. Throws db::Error
// (kBadInput) where there are none, or where the variable names a directory without them.
std::string FindServerBinaries();

}  // namespace pawl::control
