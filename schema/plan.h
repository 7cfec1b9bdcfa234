// A plan: a migration compiled against one database into ordered steps. Immutable once stored;
// every worker renders its SQL from the plan alone, never from the file or from today's catalogue.
//
//   ParseMigration ──> Planner (asks the catalogue, writes nothing) ──> Plan ──> render.h ──> SQL
//
// Plans travel as JSON (ToJson, FromJson). `kPlanVersion` names the format; another version's plan
// is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schema/statement.h"

namespace pawl::schema {

// Plans of every version from kPlanVersionMin on are read, and keep the hash that they were made with:
// a run that an older pawl began is finished or taken back by this one.
inline constexpr int kPlanVersion = 3;
inline constexpr int kPlanVersionMin = 1;

// What is done when:
//
//   forward:   kDdl, kSyncOn, kBackfill in order -> proof -> kSyncOff, kCutOver
//   back:      kWayBack (where the cut-over has happened) -> kCutOver -> the others, among them any
//              kWayBack that stands before the cut-over of its statement in the plan
//   contract:  kContract, once there is no way back any more
enum class StepKind { kDdl, kSyncOn, kBackfill, kSyncOff, kCutOver, kWayBack, kContract };

// The order in which rows are visited (docs/concepts.md, "Order").
enum class Order { kKey, kBlock, kKeyStrides, kBlockStrides };

// What a batch keeps so that it can be taken back.
//   kImplicit: nothing but the range; the changed columns were created, empty, by this same plan.
//   kImage:    UPDATE: old and written values of the changed columns. DELETE: whole rows.
//              INSERT: the keys and a hash of each inserted row.
//   kInverse:  nothing but the range; a SET list given by the user takes a row back.
//   kColumn:   nothing; what it fills goes with the step that made the column. That is one of Pawl's
//              own, of which the other column has all that the application wrote; or a new one of a
//              table without a key, which is kept unless it is forced away.
//   kNone:     nothing; the step cannot be reverted.
enum class UndoKind { kImplicit, kImage, kInverse, kColumn, kNone };

// Fits the bits of a 32-bit hash with the largest stride, 2^14 (see Residue in render_slice.cc).
inline constexpr std::int64_t kSaltMax = 15;

struct Column {
  std::string name;
  // format_type(): fit for a cast, with modifiers; of a domain, its base type's.
  std::string type;
  bool not_null = false;
  // Values of these cannot be elements of an array that is unpacked again; they are packed as text.
  bool is_array = false;
  bool is_composite = false;
  bool has_hash = false;      // Its type has a default hash operator class.
  std::string hash_function;  // Of its type's hash operator class, qualified: pg_catalog.uuid_hash.
  bool is_integer = false;    // smallint, integer, bigint: the residue is of the value itself.
};

struct ChangedColumn {
  Column column;
  std::optional<std::string> expression;  // As in Assignment.
};

// One backfill: one statement over one table (of a partitioned table: over one leaf).
struct Backfill {
  StatementKind kind = StatementKind::kUpdate;
  TableName target;   // With its schema, always. For a leaf: the leaf.
  TableName walked;   // Whose rows are walked: the target, or the source of INSERT … SELECT.
  std::string alias;  // By which the statement's expressions know the walked table.
  // Checked at the start of every process: a dropped and re-made table is another one.
  std::int64_t walked_oid = 0;
  std::int64_t target_oid = 0;

  std::vector<Column> key;         // Of the walked table. Empty: none, block order only.
  std::string key_index;           // Name of the index that orders it, for messages.
  std::vector<Column> target_key;  // INSERT … SELECT: the target's key; else the same as `key`.
  std::vector<Column> target_columns;  // All of the target that can be assigned, in order.
  std::vector<ChangedColumn> changed;  // UPDATE: the assigned columns.

  // Text as written, see Statement.
  std::string set_clause;
  std::string from_clause;
  std::string where_clause;
  std::string base_where;  // The conjuncts that are not self-excluding, joined with AND.
  std::vector<std::string> insert_columns;
  std::vector<std::string> select_items;
  std::string source_joins;
  std::string overriding;

  Order order = Order::kKey;
  std::int64_t stride = 1;  // Power of two; 1 for plain orders.
  // 0 to kSaltMax: which residues the keys have. Each stride run moves the rows of its first pass
  // out of their pages and packs them elsewhere. With the same residues, a later run or revert
  // would find whole pages of one class: none of their updates could be HOT.
  std::int64_t salt = 0;
  UndoKind undo = UndoKind::kImage;
  std::string inverse;

  bool self_excluding = false;  // A changed row no longer matches WHERE (DELETE: always).
  // UPDATE: every expression is known, reads no assigned column, no other table and nothing
  // volatile: it gives the same again at any time.
  bool re_evaluable = false;
  bool stands_alone = false;  // UPDATE: neither FROM nor a sub-select; no join but Pawl's own.
  // UPDATE: WHERE tests every changed column IS NULL, so that is what a row held.
  bool old_is_null = false;
  bool keep_in_sync = false;  // A sync trigger runs while the step does.
  bool quiet_triggers = false;
  std::int64_t quarantine_max = 0;
  std::int64_t batch_rows = 0;     // 0: steered by time.
  std::int64_t batch_time_ms = 0;  // 0: the default target.

  // Estimates; they decide nothing once the plan is made.
  std::int64_t rows_estimated = 0;  // Rows that will change.
  std::int64_t rows_in_table = 0;
  std::int64_t pages_in_table = 0;
  std::int64_t row_bytes = 0;  // Average, with TOAST.
};

struct Estimate {
  std::int64_t rows = 0;
  std::int64_t batches = 0;
  std::int64_t wal_bytes = 0;
  std::int64_t undo_bytes = 0;
  std::int64_t growth_bytes = 0;
  double seconds_low = 0;
  double seconds_high = 0;
};

struct Step {
  int number = 0;  // From 1.
  StepKind kind = StepKind::kDdl;
  std::string title;               // "backfill public.orders: set total_cents"
  std::string lock;                // "ROW EXCLUSIVE, one batch at a time"
  std::string why;                 // What was chosen and why, in sentences.
  std::vector<std::string> notes;  // Triggers that will fire, foreign keys, replicas, …
  int line = 0;                    // Of the statement in the file.
  // kDdl, kSyncOn, kSyncOff: what is executed, and what takes it back (empty: nothing does). kWayBack:
  // `inverse` is what is executed when the run is taken back, and `sql` what ends that again, where the
  // run is contracted after all.
  std::string sql;
  std::string inverse;
  // kDdl that runs outside of a transaction, for as long as it takes: CREATE INDEX CONCURRENTLY,
  // VALIDATE CONSTRAINT. `settled` is a query that says whether it has happened; `leftover` one that
  // says whether a try that failed has left what `clear` removes. Either may be empty.
  bool alone = false;
  std::string settled;
  std::string leftover;
  std::string clear;
  // Asked once `sql` (kWayBack: `inverse`) has happened. Each row that it gives is named, `reopen`
  // is run and the run fails: something stands in the way that nobody can add to any more.
  std::string question;
  std::string reopen;
  TableName table;              // What it touches; for the conflict check between runs.
  std::vector<TableName> also;  // Other tables that it locks.
  bool is_own = false;          // It makes or moves what is Pawl's own: no row is lost with it.
  std::string created_column;   // ADD COLUMN: the column; empty for all else.
  std::optional<Backfill> backfill;
  Estimate estimate;
};

struct Plan {
  int version = kPlanVersion;
  std::string migration;       // Its name.
  std::string migration_hash;  // MigrationFile::hash.
  std::string hash;            // XXH3-128 of the plan without its estimates, 32 hex digits.
  std::string database;
  std::string system_identifier;  // Of the server, where it may be read; else empty.
  int server_version = 0;
  std::string search_path;
  std::string time_zone;
  std::int64_t workers = 0;        // 0: default. From the file's options.
  std::int64_t pace = 0;           // Rows a second, 0: unlimited.
  std::int64_t retention_s = 0;    // What was set aside is kept so long, in seconds.
  std::string throttle;            // ThrottleValues of the file's options, as JSON.
  std::vector<std::string> notes;  // What of the throttle cannot be had here; sentences.
  std::vector<Step> steps;
};

// Throws db::Error: kStop when the text is not a plan of this version.
std::string ToJson(const Plan& plan);
Plan FromJson(const std::string& json);

// The hash that names a plan: of its content without estimates and without `hash` itself.
std::string HashOf(const Plan& plan);

// "expand", "backfill", "cut over", "contract"; "way back" for what a revert alone does. Empty for a
// plan that keeps no old shape.
std::string PhaseOf(const Plan& plan, const Step& step);

const char* NameOf(Order order);    // "key strides"
const char* NameOf(UndoKind undo);  // "image"
const char* NameOf(StepKind kind);  // "backfill"

}  // namespace pawl::schema
