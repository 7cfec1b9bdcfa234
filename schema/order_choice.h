// Which rows next: the choice between key order, block order and strides, from what the planner has
// seen of a table. Arithmetic only; it asks no server.
//
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schema/plan.h"
#include "schema/statement.h"

namespace pawl::schema {

struct OrderFacts {
  StatementKind kind = StatementKind::kUpdate;
  bool has_key = false;
  bool key_has_residue = false;  // Its columns have one: integers, or hashed ones.
  double correlation = 0;        // Of block number and rank of the key, -1 to 1.
  bool changed_indexed = false;  // An index is written for every change, so no update is HOT.
  double rows_per_page = 0;
  bool self_excluding = false;
  bool undo_is_inverse = false;  // A revert finds the rows of a batch by the batch's range.
  int server_version = 0;        // As in 150020.
  std::int64_t pages = 0;
  bool is_cached = false;  // The table fits into shared_buffers.
};

struct OrderChoice {
  Order order = Order::kKey;
  std::int64_t stride = 1;
  std::string why;  // A sentence or two.
  // Not empty: no order keeps its promise; the start of a sentence, and what to do.
  std::string refusal;
  std::string remedy;
};

// Chooses, or checks the user's choice where `wanted` is given. `stride_wanted` of 0 means that
// the stride follows from the rows of a page.
OrderChoice ChooseOrder(const OrderFacts& facts, std::optional<Order> wanted = std::nullopt,
                        std::int64_t stride_wanted = 0);

// Returns the power of two nearest to half the rows of a page, from 4 to 32.
std::int64_t StrideFor(double rows_per_page);

// Returns why block order would lose or double rows, now or when they are taken back, as the end of
// a sentence; empty if it is exact.
std::string BlockObstacle(const OrderFacts& facts);

}  // namespace pawl::schema
