#include "schema/order_choice.h"

#include <cmath>

#include <fmt/format.h>

namespace pawl::schema {
namespace {

constexpr int kTidRangeScan = 140000;         // The first version that finds a range of blocks.
constexpr double kRowsPerPageForStrides = 6;  // Below it, a pass leaves no room on the page.
constexpr double kCorrelationHigh = 0.9;
constexpr std::int64_t kStrideMin = 4;
constexpr std::int64_t kStrideMax = 32;

bool IsStrided(Order order) { return order == Order::kKeyStrides || order == Order::kBlockStrides; }

bool IsByBlock(Order order) { return order == Order::kBlock || order == Order::kBlockStrides; }

bool FollowsHeap(const OrderFacts& facts) {
  return std::abs(facts.correlation) >= kCorrelationHigh;
}

// Why strides are impossible here (not merely slow); empty if they are not.
std::string StrideObstacle(const OrderFacts& facts) {
  if (facts.kind != StatementKind::kUpdate) {
    return "strides are for UPDATE only: nothing is left on the page to prune by a DELETE or "
           "INSERT";
  }
  if (!facts.has_key) return "the table has no key of which a residue could be taken";
  if (!facts.key_has_residue) return "the type of the key can be neither divided nor hashed";
  return {};
}

std::string KeyObstacle(const OrderFacts& facts) {
  return facts.has_key ? std::string() : "the table has no usable key";
}

std::string ObstacleOf(Order order, const OrderFacts& facts) {
  if (IsStrided(order)) {
    const std::string obstacle = StrideObstacle(facts);
    if (!obstacle.empty()) return obstacle;
  }
  return IsByBlock(order) ? BlockObstacle(facts) : KeyObstacle(facts);
}

OrderChoice Chosen(Order order, const OrderFacts& facts, std::int64_t stride_wanted,
                   std::string why) {
  OrderChoice choice;
  choice.order = order;
  choice.why = std::move(why);
  if (IsStrided(order)) {
    choice.stride = stride_wanted > 0 ? stride_wanted : StrideFor(facts.rows_per_page);
  }
  return choice;
}

OrderChoice CheckWanted(Order order, const OrderFacts& facts, std::int64_t stride_wanted) {
  const std::string obstacle = ObstacleOf(order, facts);
  if (obstacle.empty()) {
    std::string why = fmt::format("{} order, because the option asks for it.", NameOf(order));
    why[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(why[0])));
    if (IsStrided(order) && facts.changed_indexed) {
      why += " A changed column is in an index, so strides will not be faster than plain order.";
    }
    return Chosen(order, facts, stride_wanted, why);
  }
  OrderChoice choice;
  choice.refusal = fmt::format("{} order is not possible: {}", NameOf(order), obstacle);
  choice.remedy = IsByBlock(order) && facts.undo_is_inverse
                      ? "Remove the option \"order\", or the inverse: then the old values are kept."
                      : "Remove the option \"order\", or choose another one.";
  return choice;
}

OrderChoice ChooseStrides(const OrderFacts& facts, std::int64_t stride_wanted) {
  const std::string pages = fmt::format(
      "{:.0f} rows lie on a page and no changed column is in an index, so changing one row in {} "
      "at a time lets each page reuse its own room",
      facts.rows_per_page, stride_wanted > 0 ? stride_wanted : StrideFor(facts.rows_per_page));
  if (FollowsHeap(facts)) {
    return Chosen(Order::kKeyStrides, facts, stride_wanted,
                  fmt::format("Key strides: {}, and the key follows the order of the pages "
                              "(correlation {:.2f}).",
                              pages, facts.correlation));
  }
  if (facts.is_cached) {
    return Chosen(
        Order::kKey, facts, 0,
        fmt::format("Key order: the key is scattered over the pages (correlation {:.2f}), "
                    "so that neighbours by key leave each page the time to reuse its "
                    "room, and the table fits into shared_buffers.",
                    facts.correlation));
  }
  const std::string obstacle = BlockObstacle(facts);
  if (obstacle.empty()) {
    return Chosen(Order::kBlockStrides, facts, stride_wanted,
                  fmt::format("Block strides: {}, and the key is scattered over the pages "
                              "(correlation {:.2f}).",
                              pages, facts.correlation));
  }
  return Chosen(Order::kKey, facts, 0,
                fmt::format("Key order: the key is scattered over the pages (correlation {:.2f}), "
                            "which spreads the changes by itself; block strides are not possible "
                            "because {}.",
                            facts.correlation, obstacle));
}

OrderChoice ChoosePlain(const OrderFacts& facts) {
  if (facts.kind == StatementKind::kInsertSelect && facts.has_key) {
    return Chosen(Order::kKey, facts, 0,
                  "Key order: a row that moves while it is copied could be met twice in any "
                  "other.");
  }
  if (facts.has_key && FollowsHeap(facts)) {
    return Chosen(Order::kKey, facts, 0,
                  fmt::format("Key order: the key follows the order of the pages (correlation "
                              "{:.2f}).",
                              facts.correlation));
  }
  if (facts.has_key && facts.is_cached) {
    return Chosen(Order::kKey, facts, 0, "Key order: the table fits into shared_buffers.");
  }
  const std::string obstacle = BlockObstacle(facts);
  if (obstacle.empty()) {
    return Chosen(Order::kBlock, facts, 0,
                  facts.has_key ? fmt::format("Block order: the table is larger than "
                                              "shared_buffers and its key is scattered over the "
                                              "pages (correlation {:.2f}).",
                                              facts.correlation)
                                : "Block order: the table has no key, and none is needed here.");
  }
  if (facts.has_key) {
    return Chosen(Order::kKey, facts, 0,
                  fmt::format("Key order: block order is not possible because {}.", obstacle));
  }
  OrderChoice choice;
  choice.refusal = fmt::format(
      "the table has no primary key and no unique index on NOT NULL columns, and block order is "
      "not possible because {}",
      obstacle);
  choice.remedy =
      "Add a primary key (CREATE UNIQUE INDEX CONCURRENTLY on NOT NULL columns is enough)";
  if (facts.server_version < kTidRangeScan) {
    choice.remedy += ".";
  } else if (facts.undo_is_inverse) {
    choice.remedy += ", or leave the inverse out and write undo=none.";
  } else {
    choice.remedy +=
        ", or write the WHERE so that a changed row no longer matches it, for example \"AND "
        "new_column IS NULL\".";
  }
  return choice;
}

bool StridesPay(const OrderFacts& facts) {
  return StrideObstacle(facts).empty() && !facts.changed_indexed &&
         facts.rows_per_page > kRowsPerPageForStrides;
}

}  // namespace

std::int64_t StrideFor(double rows_per_page) {
  std::int64_t stride = kStrideMin;
  // The border between a power of two and the next, in ratio, is 1.5 times the lower one.
  while (stride < kStrideMax && rows_per_page / 2 >= static_cast<double>(stride) * 1.5) stride *= 2;
  return stride;
}

std::string BlockObstacle(const OrderFacts& facts) {
  if (facts.kind == StatementKind::kInsertSelect) {
    return "a row that moves while it is copied would be copied twice or not at all";
  }
  if (facts.server_version < kTidRangeScan) {
    return fmt::format("PostgreSQL {} cannot look up a range of blocks (14 can)",
                       facts.server_version / 10000);
  }
  if (facts.undo_is_inverse) {
    return "an inverse takes back the rows of a batch's range, and a changed row has moved to "
           "another block";
  }
  if (!facts.self_excluding) {
    return "a changed row still matches the WHERE clause and could be visited twice";
  }
  return {};
}

OrderChoice ChooseOrder(const OrderFacts& facts, std::optional<Order> wanted,
                        std::int64_t stride_wanted) {
  if (wanted) return CheckWanted(*wanted, facts, stride_wanted);
  return StridesPay(facts) ? ChooseStrides(facts, stride_wanted) : ChoosePlain(facts);
}

}  // namespace pawl::schema
