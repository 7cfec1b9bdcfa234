#include "schema/domain_form.h"

#include <string>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/form_steps.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

const AstObject* ConstraintOf(const AstObject& alter) {
  const AstObject* definition = ObjectMember(alter, "def");
  return definition == nullptr ? nullptr : ObjectMember(*definition, "Constraint");
}

std::string HasDomainConstraint(const TableName& domain, const std::string& name) {
  return fmt::format(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE contypid = "
      "pg_catalog.to_regtype({}) AND conname = {})",
      QuoteLiteral(SqlName(domain)), QuoteLiteral(name));
}

}  // namespace

bool IsDomainConstraint(const AstValue& node) {
  const AstObject* alter = NodeOf(node, "AlterDomainStmt");
  if (alter == nullptr || TextMember(*alter, "subtype") != "C") return false;
  const AstObject* constraint = ConstraintOf(*alter);
  return constraint != nullptr && TextMember(*constraint, "contype") == "CONSTR_CHECK";
}

void PlanDomainConstraint(Planning& planning, const Statement& statement) {
  const Place place = planning.PlaceOf(statement);
  const std::optional<AstValue> node = ParseOneStatement(statement.text);
  const AstObject& alter = *NodeOf(*node, "AlterDomainStmt");
  const AstObject& constraint = *ConstraintOf(alter);
  TableName domain;
  for (const AstValue& part : ArrayMember(alter, "typeName")) {
    domain.schema = domain.name;
    domain.name = StringOf(part);
  }
  const std::string name = TextMember(constraint, "conname");
  if (name.empty()) {
    FailAt(place, "the constraint has no name, by which Pawl would find it again",
           "Write ADD CONSTRAINT name ….");
  }
  db::Session& session = planning.reading.session();
  if (db::ToBool(session.Query(HasDomainConstraint(domain, name)).rows.at(0)[0])) {
    FailAt(place, fmt::format("{} has a constraint {} already", Readable(domain), name),
           "Choose another name, or remove the statement if that is the one that is meant.");
  }
  const bool is_not_valid = FlagMember(constraint, "skip_validation");
  Step add =
      DdlStep(statement.line, {},
              fmt::format("add constraint {} to domain {}, for new values", name, Readable(domain)),
              "none", "NOT VALID: it holds for new values and reads no row.");
  add.sql = statement.text + (is_not_valid ? "" : " NOT VALID");
  add.inverse =
      fmt::format("ALTER DOMAIN {} DROP CONSTRAINT IF EXISTS {}", SqlName(domain), QuoteName(name));
  planning.Add(std::move(add));
  if (is_not_valid) return;
  Step validate = DdlStep(
      statement.line, {}, fmt::format("validate {} of domain {}", name, Readable(domain)),
      "SHARE on every table with a column of the domain: writers wait, within the stall budget",
      "PostgreSQL reads those tables under a lock against writers. Where that takes longer than "
      "limit.stall, it is given up: the constraint then stays NOT VALID until a quiet hour.");
  validate.sql =
      fmt::format("ALTER DOMAIN {} VALIDATE CONSTRAINT {}", SqlName(domain), QuoteName(name));
  planning.Add(std::move(validate));
}

}  // namespace pawl::schema
