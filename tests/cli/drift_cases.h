// A schema with an object of every kind, and small alterations of it, at least one a kind.
#pragma once

#include <string>
#include <vector>

namespace pawl::test {

struct DriftCase {
  std::string sql;
  // The way back gives another order of columns, or makes them the table's own, which no statement can
  // mend: it is not compared by pg_dump.
  bool is_one_way = false;
};

// Makes the schema in an empty database. Role drift_reader must exist.
std::string DriftSchema();

const std::vector<DriftCase>& DriftCases();

}  // namespace pawl::test
