#include "schema/lint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>

#include "db/error.h"
#include "db/quote.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/catalog.h"
#include "schema/ddl_effects.h"
#include "schema/lint_catalog.h"
#include "schema/statement.h"

namespace pawl::schema {
namespace {

// Rows that one statement changes without anybody noticing.
constexpr double kRowsOfNoConcern = 10'000;

std::string Locks(const std::vector<TableLock>& locks) {
  std::string text;
  for (const TableLock& lock : locks) {
    text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", NameOf(lock.level),
                        Readable(lock.table));
  }
  return text;
}

LockLevel Strongest(const std::vector<TableLock>& locks) {
  LockLevel strongest = LockLevel::kNone;
  for (const TableLock& lock : locks) strongest = std::max(strongest, lock.level);
  return strongest;
}

bool IsBackfill(StatementKind kind) {
  return kind == StatementKind::kUpdate || kind == StatementKind::kDelete ||
         kind == StatementKind::kInsertSelect;
}

std::string WordsOf(StatementKind kind) {
  if (kind == StatementKind::kUpdate) return "UPDATE";
  return kind == StatementKind::kDelete ? "DELETE" : "INSERT … SELECT";
}

// One file being read, statement after statement.
class Linter {
 public:
  explicit Linter(db::Session* session) : catalog_(session) {}

  std::vector<Finding> Read(const MigrationFile& file) {
    for (const Statement& statement : file.statements) Take(statement);
    return std::move(findings_);
  }

 private:
  // What an open transaction holds until its end.
  struct OpenTransaction {
    bool is_open = false;
    std::set<std::string> exclusive_on;  // Tables under ACCESS EXCLUSIVE, as they are read.
  };

  void Take(const Statement& statement) {
    statement_ = &statement;
    const std::optional<AstValue> node = ParseOneStatement(statement.text);
    if (!node) return;
    if (const AstObject* transaction = NodeOf(*node, "TransactionStmt")) {
      return TakeTransaction(*transaction);
    }
    if (const AstObject* setting = NodeOf(*node, "VariableSetStmt")) {
      if (TextMember(*setting, "name") == "lock_timeout") has_lock_timeout_ = true;
      return;
    }
    if (IsBackfill(statement.kind)) {
      TakeBackfill(statement);
    } else {
      TakeDdl(*node);
    }
    Remember(*node);
  }

  void TakeTransaction(const AstObject& statement) {
    const std::string kind = TextMember(statement, "kind");
    if (kind == "TRANS_STMT_BEGIN" || kind == "TRANS_STMT_START") transaction_ = {true, {}};
    if (kind == "TRANS_STMT_COMMIT" || kind == "TRANS_STMT_ROLLBACK") transaction_ = {};
  }

  void Add(Finding finding) {
    finding.line = statement_->line;
    const auto ignored = statement_->options.find("ignore");
    if (ignored != statement_->options.end()) {
      const std::string names = "," + ignored->second + ",";
      if (names.find("," + finding.rule + ",") != std::string::npos) return;
    }
    findings_.push_back(std::move(finding));
  }

  bool IsOwn(const TableName& table) const {
    return std::any_of(created_.begin(), created_.end(),
                       [&](const TableName& own) { return MayBeSame(own, table); });
  }

  // --- statements that change rows ---

  void TakeBackfill(const Statement& statement) {
    if (IsOwn(statement.target) && statement.kind != StatementKind::kInsertSelect) return;
    if (statement.kind == StatementKind::kInsertSelect && statement.source.name.empty()) return;
    const TableName& walked =
        statement.kind == StatementKind::kInsertSelect ? statement.source : statement.target;
    if (walked.name.empty() || IsOwn(walked)) return;
    const std::optional<RelationFacts> facts = catalog_.Find(walked);
    if (facts && facts->rows >= 0 && facts->rows < kRowsOfNoConcern) return;
    const std::string size =
        facts && facts->rows >= 0 ? fmt::format(" of about {:.0f} rows", facts->rows) : "";
    const std::string words = WordsOf(statement.kind);
    if (transaction_.is_open && !transaction_.exclusive_on.empty()) {
      Add({"backfill_under_lock", Severity::kError, 0, words, "",
           fmt::format("it runs while this transaction holds ACCESS EXCLUSIVE on {}: nobody reads "
                       "or writes that table until it has committed.",
                       *transaction_.exclusive_on.begin()),
           "Commit the change of the schema first; then `pawl run` the statement."});
    }
    Add({"backfill", Severity::kWarning, 0, words, "",
         fmt::format("one statement over {}{} holds every row it has touched until its end, and "
                     "leaves as many dead rows behind.",
                     Readable(walked), size),
         "`pawl run` does it in small batches that can be paused, proved and taken back."});
    for (const Refusal& refusal : statement.refusals) {
      Add({"not_in_batches", Severity::kWarning, 0, words, "", "in batches: " + refusal.reason,
           ""});
    }
    if (facts) SayWhatCatalogKnows(statement, walked, *facts, words);
  }

  void SayWhatCatalogKnows(const Statement& statement, const TableName& walked,
                           const RelationFacts& facts, const std::string& words) {
    const std::string event = statement.kind == StatementKind::kUpdate   ? "UPDATE"
                              : statement.kind == StatementKind::kDelete ? "DELETE"
                                                                         : "INSERT";
    const RelationFacts* target = &facts;
    std::optional<RelationFacts> other;
    if (!(statement.target == walked)) {
      other = catalog_.Find(statement.target);
      target = other ? &*other : nullptr;
    }
    if (target != nullptr) {
      const std::vector<std::string> triggers = catalog_.TriggersOn(target->oid, event);
      if (!triggers.empty()) {
        Add({"fires_triggers", Severity::kNote, 0, words, "",
             fmt::format("for each row it fires {}.", fmt::join(triggers, ", ")),
             "`quiet_triggers` keeps them quiet for Pawl's own changes."});
      }
    }
    if (!statement.where_clause.empty() && statement.kind != StatementKind::kInsertSelect &&
        catalog_.FindsFewByReadingAll(statement, facts)) {
      Add({"no_index_for_where", Severity::kNote, 0, words, "",
           fmt::format("its WHERE finds few rows and no index helps it: all of {} is read.",
                       Readable(walked)),
           "Where it runs more than once, CREATE INDEX CONCURRENTLY for the condition first."});
    }
  }

  // --- statements that change the schema ---

  void TakeDdl(const AstValue& node) {
    DdlEffects effects = EffectsOf(node);
    if (!effects.known) {
      Add({"unknown_statement", Severity::kWarning, 0,
           statement_->text.substr(0, statement_->text.find_first_of("\n;")), "",
           "what it locks, reads and rewrites is not known here.",
           "Try it on a copy, with another session open."});
    }
    for (DdlEffect& effect : effects.changes) {
      std::erase_if(effect.locks, [&](const TableLock& lock) { return IsOwn(lock.table); });
      if (IsAboutOwnOnly(node, effect)) continue;
      catalog_.Refine(node, effect);
      TakeEffect(effect);
    }
  }

  // An effect that had locks on tables, all of which the file has made.
  bool IsAboutOwnOnly(const AstValue& node, const DdlEffect& effect) const {
    if (!effect.locks.empty()) return false;
    const DdlEffects whole = EffectsOf(node);
    return std::any_of(whole.changes.begin(), whole.changes.end(), [&](const DdlEffect& other) {
      return other.rule == effect.rule && !other.locks.empty();
    });
  }

  void TakeEffect(const DdlEffect& effect) {
    Finding finding{effect.rule, Severity::kNote,   0, effect.words, Locks(effect.locks),
                    "",          effect.online_form};
    const LockLevel lock = Strongest(effect.locks);
    const std::string blocked = Blocked(effect, lock);
    if (transaction_.is_open && !effect.in_transaction) {
      Add({"not_in_transaction", Severity::kError, 0, effect.words, "",
           "it cannot run inside BEGIN … COMMIT: PostgreSQL refuses it.",
           "Put it outside of the transaction."});
    }
    SayLocksOfTransaction(effect, blocked);
    const Certainty long_work = std::max(effect.scans, effect.rewrites);
    const std::string size = SizeOf(effect);
    if (!blocked.empty() && long_work != Certainty::kNo) {
      finding.severity = long_work == Certainty::kYes ? Severity::kError : Severity::kWarning;
      // Most types are no domains; a warning for each would hide the others.
      if (effect.rule == "add_column_type" && long_work == Certainty::kDepends) {
        finding.severity = Severity::kNote;
      }
      finding.reason = fmt::format(
          "it {}{} every row{}; {} wait meanwhile.",
          long_work == Certainty::kYes ? ""
                                       : "may depend on the types or values: where it must, it ",
          effect.rewrites == long_work ? "rewrites" : "reads", size, blocked);
    } else if (effect.loses_data) {
      finding.severity = Severity::kWarning;
      finding.reason = "what it throws away cannot be had back.";
    } else if (effect.breaks_readers) {
      finding.severity = Severity::kWarning;
      finding.reason = "statements of the running application that know the old shape fail.";
    } else if (!effect.online_form.empty() && !blocked.empty()) {
      finding.severity = Severity::kWarning;
      finding.reason = fmt::format("{} wait while it holds its lock.", blocked);
    } else if (lock == LockLevel::kAccessExclusive) {
      SayNoTimeout(effect);
      return;
    } else {
      return;
    }
    if (effect.loses_data && effect.breaks_readers) {
      finding.reason += " Statements that still mention it fail.";
    }
    AddDependents(effect, finding);
    Add(std::move(finding));
  }

  static std::string Blocked(const DdlEffect& effect, LockLevel lock) {
    if (const std::string_view named = BlockedBy(lock); !named.empty()) return std::string(named);
    // The table is for the catalogue to say; the text is plain about what waits.
    if (effect.also_locks.find("every statement") != std::string::npos ||
        effect.also_locks.find("readers wait") != std::string::npos) {
      return "reads and writes";
    }
    return effect.also_locks.find("against writes") != std::string::npos ? "writes" : "";
  }

  // The first lock is held until COMMIT, whatever follows.
  void SayLocksOfTransaction(const DdlEffect& effect, const std::string& blocked) {
    if (!transaction_.is_open) return;
    const bool is_long = effect.scans == Certainty::kYes || effect.rewrites == Certainty::kYes;
    for (const TableLock& lock : effect.locks) {
      if (lock.level != LockLevel::kAccessExclusive) continue;
      const std::string table = Readable(lock.table);
      if (!transaction_.exclusive_on.empty() && !transaction_.exclusive_on.contains(table)) {
        Add({"several_locks", Severity::kWarning, 0, effect.words, "",
             fmt::format("this transaction already holds ACCESS EXCLUSIVE on {} and now wants {}: "
                         "everybody waits for both, and a deadlock is near.",
                         *transaction_.exclusive_on.begin(), table),
             "Commit after each."});
      }
    }
    if (is_long && blocked.empty() && !transaction_.exclusive_on.empty()) {
      Add({"long_work_under_lock", Severity::kError, 0, effect.words, "",
           fmt::format("it reads every row while this transaction holds ACCESS EXCLUSIVE on {}.",
                       *transaction_.exclusive_on.begin()),
           "Commit first."});
    }
    for (const TableLock& lock : effect.locks) {
      if (lock.level == LockLevel::kAccessExclusive) {
        transaction_.exclusive_on.insert(Readable(lock.table));
      }
    }
  }

  // Once a file: a short lock hurts only where it has to wait, because all others queue behind it.
  void SayNoTimeout(const DdlEffect& effect) {
    if (has_lock_timeout_ || said_no_timeout_) return;
    said_no_timeout_ = true;
    Add({"no_lock_timeout", Severity::kNote, 0, effect.words, Locks(effect.locks),
         "its lock is short, but while it waits for a long transaction everybody waits behind it.",
         "`pawl run` asks for it 50 ms at a time; in psql, SET lock_timeout = '50ms' and try "
         "again."});
  }

  std::string SizeOf(const DdlEffect& effect) {
    if (effect.locks.empty()) return "";
    const std::optional<RelationFacts> facts = catalog_.Find(effect.locks.front().table);
    return facts && facts->rows >= 0 ? fmt::format(" (about {:.0f})", facts->rows) : "";
  }

  void AddDependents(const DdlEffect& effect, Finding& finding) {
    if (effect.locks.empty() || (!effect.loses_data && !effect.breaks_readers)) return;
    const std::optional<RelationFacts> facts = catalog_.Find(effect.locks.front().table);
    if (!facts) return;
    const std::vector<std::string> dependents = catalog_.DependentsOf(facts->oid);
    if (dependents.empty()) return;
    finding.reason += fmt::format(" On the table depend {}.", fmt::join(dependents, ", "));
  }

  void Remember(const AstValue& node) {
    if (const AstObject* table = NodeOf(node, "CreateStmt")) {
      created_.push_back(RelationOf(*ObjectMember(*table, "relation")));
    } else if (const AstObject* as = NodeOf(node, "CreateTableAsStmt")) {
      const AstObject* into = ObjectMember(*as, "into");
      const AstObject* relation = into == nullptr ? nullptr : ObjectMember(*into, "rel");
      if (relation != nullptr) created_.push_back(RelationOf(*relation));
    }
  }

  LintCatalog catalog_;
  const Statement* statement_ = nullptr;
  std::vector<TableName> created_;
  OpenTransaction transaction_;
  bool has_lock_timeout_ = false;
  bool said_no_timeout_ = false;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view NameOf(Severity severity) {
  if (severity == Severity::kError) return "error";
  return severity == Severity::kWarning ? "warning" : "note";
}

std::vector<Finding> Lint(const std::string& file, const std::string& text, db::Session* session) {
  return Linter(session).Read(ParseMigration(file, text));
}

}  // namespace pawl::schema
