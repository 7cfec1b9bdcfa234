#include "schema/step_estimate.h"

#include <algorithm>
#include <cmath>

namespace pawl::schema {
namespace {

constexpr std::int64_t kBatchRows = 1'000;
constexpr std::int64_t kPageBytes = 8'192;
constexpr double kWalBytesPerRow = 60;  // Header of the record and the new version.
constexpr double kWalBytesPerIndexEntry = 80;
constexpr double kWalBytesPerHotRow = 100;
constexpr double kIndexBytesPerEntry = 20;
constexpr double kStrideGrowth = 0.15;
constexpr double kUndoBytesPerColumn = 16;
constexpr double kUndoBytesPerInsertedKey = 32;
constexpr double kUndoBytesPerBatch = 200;

double UndoBytes(const Backfill& backfill, double rows) {
  if (backfill.undo != UndoKind::kImage) return 0;
  const double key = static_cast<double>(backfill.key.size()) * kUndoBytesPerColumn;
  switch (backfill.kind) {
    case StatementKind::kDelete:
      return rows * static_cast<double>(backfill.row_bytes);
    case StatementKind::kInsertSelect:
      return rows * kUndoBytesPerInsertedKey;
    default:  // Old and written values.
      return rows * (key + 2 * kUndoBytesPerColumn * static_cast<double>(backfill.changed.size()));
  }
}

}  // namespace

Estimate EstimateStep(const Backfill& backfill, std::int64_t index_count) {
  const bool strided =
      backfill.order == Order::kKeyStrides || backfill.order == Order::kBlockStrides;
  const auto rows = static_cast<double>(backfill.rows_estimated);
  const auto row_bytes = static_cast<double>(backfill.row_bytes);
  const auto indexes = static_cast<double>(index_count);
  const double share =
      backfill.rows_in_table > 0 ? rows / static_cast<double>(backfill.rows_in_table) : 0;
  // A page that holds one changed row is written in full once after each checkpoint.
  const double pages = std::min(static_cast<double>(backfill.pages_in_table), rows);
  const double table_bytes = static_cast<double>(backfill.pages_in_table * kPageBytes);
  Estimate estimate;
  estimate.rows = backfill.rows_estimated;
  estimate.batches = (backfill.rows_estimated + kBatchRows - 1) / kBatchRows;
  const double per_row = strided ? row_bytes * 0.5 + kWalBytesPerHotRow
                                 : row_bytes + kWalBytesPerRow + kWalBytesPerIndexEntry * indexes;
  const double undo = UndoBytes(backfill, rows);
  estimate.undo_bytes =
      std::llround(undo + static_cast<double>(estimate.batches) * kUndoBytesPerBatch);
  estimate.wal_bytes = std::llround(pages * kPageBytes + rows * per_row + undo);
  if (backfill.kind != StatementKind::kDelete) {
    estimate.growth_bytes =
        std::llround(strided ? table_bytes * kStrideGrowth * share
                             : rows * (row_bytes + kIndexBytesPerEntry * indexes));
  }
  estimate.seconds_low = rows / (strided ? 200'000.0 : 120'000.0);
  estimate.seconds_high = rows / (strided ? 80'000.0 : 40'000.0);
  return estimate;
}

}  // namespace pawl::schema
