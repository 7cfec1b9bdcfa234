// What the statements of render.h are put together from. For the files render_*.cc only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "db/value.h"
#include "schema/plan.h"
#include "schema/render.h"

namespace pawl::schema {

using Texts = std::vector<std::string>;

// Collects parameters while SQL is put together, so that numbers and values cannot drift apart.
// Thread safety: none. Lives for one statement.
class Binder {
 public:
  // Return "$<number>::<type>".
  std::string Bind(db::Value value, std::string_view type);
  std::string Bind(std::int64_t value, std::string_view type = "bigint");

  std::vector<db::Value> Take() { return std::move(parameters_); }

 private:
  std::vector<db::Value> parameters_;
};

std::string Joined(const Texts& texts, std::string_view separator = ", ");

// "k1", "k2", …, and the same as columns of `table`.
Texts Numbered(std::string_view prefix, std::size_t count);
Texts Of(std::string_view table, std::string_view prefix, std::size_t count);

// Names in quotes; the second with the alias before each.
Texts Names(const std::vector<Column>& columns);
Texts Qualified(std::string_view alias, const std::vector<Column>& columns);

// "<expression> AS k1", "<expression> AS k2", …
Texts Labelled(const Texts& expressions, std::string_view prefix);

// `texts` followed by `more`.
Texts Appended(Texts texts, const Texts& more);

std::vector<Column> ChangedColumns(const Backfill& backfill);

// "public"."orders", and ONLY "public"."orders" AS "o".
std::string Table(const TableName& name);
std::string Walked(const Backfill& backfill);

// A record whose image *= compares byte for byte, whatever its types (1.0 is not 1.00, NULL is
// NULL).
std::string Record(const Texts& values);

// A condition: `left` and `right`, values of `columns`, are the same byte for byte. Types whose own
// equality says just that are compared by it: the images of two records cost ten times as much.
std::string SameImage(const std::vector<Column>& columns, const Texts& left, const Texts& right);

// Undo records hold the values of a batch in one array per column. A value of an array or composite
// type cannot be an element of such an array: it is packed as text.
std::string Packed(const Column& column, const std::string& expression);
std::string Unpacked(const Column& column, const std::string& expression);
std::string PackedType(const Column& column);

// The arrays of an UPDATE's undo record: k1.. the keys, o1.. what they had, w1.. what they got.
Texts UpdateArrays(const Backfill& backfill);

// The user's condition on its own lines, so that a trailing "--" comment in it ends before ours.
std::string AndWhere(const std::string& where);

// The user's FROM list after `keyword`, or nothing.
std::string FromList(const Backfill& backfill, std::string_view keyword);

// One number for the rows of a batch: xor of hashes, since keys within make rows distinct. It is a
// server-side hash, stable within a major version (docs/decisions/0003). Rows without a key may
// repeat, and equal pairs would cancel: they are summed.
std::string Digest(const std::vector<Column>& columns, const Texts& values, bool distinct,
                   int server_version);

// The hash of a row that INSERT … SELECT has added, by which a revert knows it again.
std::string RowHash(const std::string& alias, const std::vector<Column>& columns);

// How every batch begins: its id, drawn once.
inline constexpr std::string_view kBatchId =
    "WITH batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id)";

// How every batch ends, from a line of its own. `rows` and `digest` are expressions over `from`.
std::string LedgerInsert(const Slice& slice, const LedgerFacts& facts, const std::string& rows,
                         const std::string& digest, const std::string& from, Binder& binder,
                         db::Value reverts = {});

// The ledger row of a change whose counts are columns of a CTE `summary`.
std::string LedgerOfSummary(const Slice& slice, const LedgerFacts& facts, Binder& binder);

}  // namespace pawl::schema
