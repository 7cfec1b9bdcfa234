# Every library from the distribution's packages, found once, used at its one address in the tree.
find_package(Threads REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(TBB REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_library(PQXX_LIBRARY pqxx REQUIRED)
find_library(PG_QUERY_LIBRARY pg_query REQUIRED)
find_path(PG_QUERY_INCLUDE_DIR pg_query.h REQUIRED)
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
# Debian 12 has it in concurrentqueue/, Debian 13 in concurrentqueue/moodycamel/.
find_path(MOODYCAMEL_INCLUDE_DIR concurrentqueue.h
          PATH_SUFFIXES concurrentqueue/moodycamel concurrentqueue REQUIRED)
find_library(PROTOBUF_C_LIBRARY protobuf-c)
