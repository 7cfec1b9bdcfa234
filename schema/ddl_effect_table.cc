#include "schema/ddl_effect_table.h"

#include <algorithm>
#include <iterator>

namespace pawl::schema {
namespace {

using enum LockLevel;
constexpr auto kNo = Certainty::kNo;
constexpr auto kYes = Certainty::kYes;
constexpr auto kDepends = Certainty::kDepends;

// The last columns: loses data, breaks readers, may run in a transaction, the online form.
constexpr EffectRow kRows[] = {
    // ALTER TABLE …
    {"AT_AddColumn", "add_column", "ADD COLUMN", kAccessExclusive, kNo, kNo, false, false, true,
     ""},
    {"AT_ColumnDefault", "column_default", "ALTER COLUMN … DEFAULT", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_DropNotNull", "drop_not_null", "ALTER COLUMN … DROP NOT NULL", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_SetNotNull", "set_not_null", "ALTER COLUMN … SET NOT NULL", kAccessExclusive, kYes, kNo,
     false, false, true,
     "Add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it, then SET NOT NULL, which trusts it, "
     "and drop the check."},
    {"AT_DropExpression", "drop_expression", "ALTER COLUMN … DROP EXPRESSION", kAccessExclusive,
     kNo, kNo, false, false, true, ""},
    {"AT_SetStatistics", "column_statistics", "ALTER COLUMN … SET STATISTICS",
     kShareUpdateExclusive, kNo, kNo, false, false, true, ""},
    {"AT_SetOptions", "column_options", "ALTER COLUMN … SET (…)", kShareUpdateExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_ResetOptions", "column_options", "ALTER COLUMN … RESET (…)", kShareUpdateExclusive, kNo,
     kNo, false, false, true, ""},
    {"AT_SetStorage", "column_storage", "ALTER COLUMN … SET STORAGE", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_SetCompression", "column_compression", "ALTER COLUMN … SET COMPRESSION", kAccessExclusive,
     kNo, kNo, false, false, true, ""},
    {"AT_DropColumn", "drop_column", "DROP COLUMN", kAccessExclusive, kNo, kNo, true, true, true,
     "First deploy an application that does not mention the column; keep its values until nobody "
     "can want them back; drop it then."},
    {"AT_AlterColumnType", "alter_column_type", "ALTER COLUMN … TYPE", kAccessExclusive, kDepends,
     kDepends, false, false, true,
     "Add a column of the new type, keep it in step by a trigger, fill it in batches, verify it, "
     "and change the names in one short lock."},
    {"AT_AddIdentity", "add_identity", "ALTER COLUMN … ADD GENERATED AS IDENTITY", kAccessExclusive,
     kNo, kNo, false, false, true, ""},
    {"AT_SetIdentity", "set_identity", "ALTER COLUMN … SET GENERATED", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_DropIdentity", "drop_identity", "ALTER COLUMN … DROP IDENTITY", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"check", "add_check", "ADD CHECK", kAccessExclusive, kYes, kNo, false, false, true,
     "Add it NOT VALID, which reads no row, then VALIDATE CONSTRAINT, which lets everybody work."},
    {"check_not_valid", "add_check_not_valid", "ADD CHECK … NOT VALID", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"foreign_key", "add_foreign_key", "ADD FOREIGN KEY", kShareRowExclusive, kYes, kNo, false,
     false, true,
     "Add it NOT VALID, which reads no row, then VALIDATE CONSTRAINT, which lets everybody work."},
    {"foreign_key_not_valid", "add_foreign_key_not_valid", "ADD FOREIGN KEY … NOT VALID",
     kShareRowExclusive, kNo, kNo, false, false, true, ""},
    {"unique", "add_unique", "ADD UNIQUE", kAccessExclusive, kYes, kNo, false, false, true,
     "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX."},
    {"primary_key", "add_primary_key", "ADD PRIMARY KEY", kAccessExclusive, kYes, kNo, false, false,
     true,
     "Make the columns NOT NULL by a validated check, CREATE UNIQUE INDEX CONCURRENTLY, then ADD "
     "CONSTRAINT … PRIMARY KEY USING INDEX."},
    {"unique_using_index", "add_unique_using_index", "ADD UNIQUE USING INDEX", kAccessExclusive,
     kNo, kNo, false, false, true, ""},
    {"primary_key_using_index", "add_primary_key_using_index", "ADD PRIMARY KEY USING INDEX",
     kAccessExclusive, kDepends, kNo, false, false, true,
     "Reads every row where a column is not NOT NULL yet: make it so by a validated check first."},
    {"exclusion", "add_exclusion", "ADD EXCLUDE", kAccessExclusive, kYes, kNo, false, false, true,
     "There is no concurrent way to build its index. Make a new table with the constraint and "
     "copy the rows, or choose a quiet hour."},
    {"AT_ValidateConstraint", "validate_constraint", "VALIDATE CONSTRAINT", kShareUpdateExclusive,
     kYes, kNo, false, false, true, ""},
    {"AT_DropConstraint", "drop_constraint", "DROP CONSTRAINT", kAccessExclusive, kNo, kNo, false,
     false, true, ""},
    {"AT_AlterConstraint", "alter_constraint", "ALTER CONSTRAINT", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_AlterColumnGenericOptions", "foreign_options", "ALTER COLUMN … OPTIONS", kAccessExclusive,
     kNo, kNo, false, false, true, ""},
    {"AT_GenericOptions", "foreign_options", "OPTIONS", kAccessExclusive, kNo, kNo, false, false,
     true, ""},
    {"AT_ChangeOwner", "owner", "OWNER TO", kAccessExclusive, kNo, kNo, false, false, true, ""},
    {"AT_ClusterOn", "cluster_on", "CLUSTER ON", kShareUpdateExclusive, kNo, kNo, false, false,
     true, ""},
    {"AT_DropCluster", "cluster_on", "SET WITHOUT CLUSTER", kShareUpdateExclusive, kNo, kNo, false,
     false, true, ""},
    {"AT_SetLogged", "set_logged", "SET LOGGED", kAccessExclusive, kYes, kYes, false, false, true,
     "Make a logged table beside it, copy the rows in batches, and change the names."},
    {"AT_SetUnLogged", "set_unlogged", "SET UNLOGGED", kAccessExclusive, kYes, kYes, false, false,
     true, "Make an unlogged table beside it, copy the rows in batches, and change the names."},
    {"AT_DropOids", "drop_oids", "SET WITHOUT OIDS", kAccessExclusive, kNo, kNo, false, false, true,
     ""},
    {"AT_SetAccessMethod", "access_method", "SET ACCESS METHOD", kAccessExclusive, kYes, kYes,
     false, false, true,
     "Make a table of that access method beside it, copy the rows in batches, and change the "
     "names."},
    {"AT_SetTableSpace", "tablespace", "SET TABLESPACE", kAccessExclusive, kNo, kYes, false, false,
     true,
     "Make a table there, copy the rows in batches, and change the names. An index: build it anew "
     "there CONCURRENTLY."},
    {"AT_SetRelOptions", "table_options", "SET (…)", kShareUpdateExclusive, kNo, kNo, false, false,
     true, ""},
    {"AT_ResetRelOptions", "table_options", "RESET (…)", kShareUpdateExclusive, kNo, kNo, false,
     false, true, ""},
    {"AT_EnableTrig", "trigger_state", "ENABLE TRIGGER", kShareRowExclusive, kNo, kNo, false, false,
     true, ""},
    {"AT_EnableAlwaysTrig", "trigger_state", "ENABLE ALWAYS TRIGGER", kShareRowExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_EnableReplicaTrig", "trigger_state", "ENABLE REPLICA TRIGGER", kShareRowExclusive, kNo,
     kNo, false, false, true, ""},
    {"AT_DisableTrig", "trigger_state", "DISABLE TRIGGER", kShareRowExclusive, kNo, kNo, false,
     false, true, ""},
    {"AT_EnableTrigAll", "trigger_state", "ENABLE TRIGGER ALL", kShareRowExclusive, kNo, kNo, false,
     false, true, ""},
    {"AT_DisableTrigAll", "trigger_state", "DISABLE TRIGGER ALL", kShareRowExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_EnableTrigUser", "trigger_state", "ENABLE TRIGGER USER", kShareRowExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_DisableTrigUser", "trigger_state", "DISABLE TRIGGER USER", kShareRowExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_EnableRule", "rule_state", "ENABLE RULE", kAccessExclusive, kNo, kNo, false, false, true,
     ""},
    {"AT_EnableAlwaysRule", "rule_state", "ENABLE ALWAYS RULE", kAccessExclusive, kNo, kNo, false,
     false, true, ""},
    {"AT_EnableReplicaRule", "rule_state", "ENABLE REPLICA RULE", kAccessExclusive, kNo, kNo, false,
     false, true, ""},
    {"AT_DisableRule", "rule_state", "DISABLE RULE", kAccessExclusive, kNo, kNo, false, false, true,
     ""},
    {"AT_AddInherit", "inherit", "INHERIT", kAccessExclusive, kNo, kNo, false, false, true, ""},
    {"AT_DropInherit", "inherit", "NO INHERIT", kAccessExclusive, kNo, kNo, false, false, true, ""},
    {"AT_AddOf", "of_type", "OF", kAccessExclusive, kNo, kNo, false, false, true, ""},
    {"AT_DropOf", "of_type", "NOT OF", kAccessExclusive, kNo, kNo, false, false, true, ""},
    {"AT_ReplicaIdentity", "replica_identity", "REPLICA IDENTITY", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"AT_EnableRowSecurity", "row_security", "ENABLE ROW LEVEL SECURITY", kAccessExclusive, kNo,
     kNo, false, true, true, ""},
    {"AT_DisableRowSecurity", "row_security", "DISABLE ROW LEVEL SECURITY", kAccessExclusive, kNo,
     kNo, false, false, true, ""},
    {"AT_ForceRowSecurity", "row_security", "FORCE ROW LEVEL SECURITY", kAccessExclusive, kNo, kNo,
     false, true, true, ""},
    {"AT_NoForceRowSecurity", "row_security", "NO FORCE ROW LEVEL SECURITY", kAccessExclusive, kNo,
     kNo, false, false, true, ""},
    {"AT_AttachPartition", "attach_partition", "ATTACH PARTITION", kShareUpdateExclusive, kNo, kNo,
     false, false, true,
     "First add a CHECK that implies the partition's bounds, NOT VALID, and VALIDATE it: attaching "
     "then trusts it and reads no row. The same, the other way round, on the default partition."},
    {"AT_DetachPartition", "detach_partition", "DETACH PARTITION", kAccessExclusive, kNo, kNo,
     false, false, true, "DETACH PARTITION … CONCURRENTLY."},
    {"detach_concurrently", "detach_partition_concurrently", "DETACH PARTITION … CONCURRENTLY",
     kShareUpdateExclusive, kNo, kNo, false, false, false, ""},
    {"AT_DetachPartitionFinalize", "detach_partition_finalize", "DETACH PARTITION … FINALIZE",
     kShareUpdateExclusive, kNo, kNo, false, false, true, ""},
    // Names.
    {"rename_table", "rename_table", "RENAME", kAccessExclusive, kNo, kNo, false, true, true,
     "Rename it and make a view of the old name in one transaction; drop the view when nothing "
     "uses the old name any more."},
    {"rename_column", "rename_column", "RENAME COLUMN", kAccessExclusive, kNo, kNo, false, true,
     true,
     "Add a column of the new name, keep both in step by a trigger, fill it in batches, and drop "
     "the old one when nothing uses it any more."},
    {"rename_constraint", "rename_constraint", "RENAME CONSTRAINT", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"set_schema", "set_schema", "SET SCHEMA", kAccessExclusive, kNo, kNo, false, true, true,
     "Make a view of the old name in the same transaction; drop it when nothing uses the old name "
     "any more."},
    {"rename_trigger", "rename_trigger", "ALTER TRIGGER … RENAME", kAccessExclusive, kNo, kNo,
     false, false, true, ""},
    {"rename_policy", "rename_policy", "ALTER POLICY … RENAME", kAccessExclusive, kNo, kNo, false,
     false, true, ""},
    {"rename_rule", "rename_rule", "ALTER RULE … RENAME", kAccessExclusive, kNo, kNo, false, false,
     true, ""},
    {"rename_other", "rename", "RENAME", kNone, kNo, kNo, false, true, true, ""},
    // Indexes.
    {"create_index", "create_index", "CREATE INDEX", kShare, kYes, kNo, false, false, true,
     "CREATE INDEX CONCURRENTLY, outside of a transaction."},
    {"create_index_concurrently", "create_index_concurrently", "CREATE INDEX CONCURRENTLY",
     kShareUpdateExclusive, kYes, kNo, false, false, false, ""},
    {"drop_index", "drop_index", "DROP INDEX", kNone, kNo, kNo, false, false, true,
     "DROP INDEX CONCURRENTLY, outside of a transaction."},
    {"drop_index_concurrently", "drop_index_concurrently", "DROP INDEX CONCURRENTLY", kNone, kNo,
     kNo, false, false, false, ""},
    {"reindex", "reindex", "REINDEX", kShare, kYes, kNo, false, false, true,
     "REINDEX … CONCURRENTLY, outside of a transaction."},
    {"reindex_whole", "reindex", "REINDEX", kShare, kYes, kNo, false, false, false,
     "REINDEX … CONCURRENTLY, outside of a transaction."},
    {"reindex_concurrently", "reindex_concurrently", "REINDEX CONCURRENTLY", kShareUpdateExclusive,
     kYes, kNo, false, false, false, ""},
    {"alter_index", "alter_index", "ALTER INDEX", kNone, kNo, kNo, false, false, true, ""},
    // Things that hang on a table.
    {"create_trigger", "create_trigger", "CREATE TRIGGER", kShareRowExclusive, kNo, kNo, false,
     false, true, ""},
    {"drop_trigger", "drop_trigger", "DROP TRIGGER", kAccessExclusive, kNo, kNo, false, false, true,
     ""},
    {"create_rule", "create_rule", "CREATE RULE", kAccessExclusive, kNo, kNo, false, false, true,
     ""},
    {"drop_rule", "drop_rule", "DROP RULE", kAccessExclusive, kNo, kNo, false, false, true, ""},
    {"policy", "policy", "POLICY", kAccessExclusive, kNo, kNo, false, false, true, ""},
    {"create_statistics", "create_statistics", "CREATE STATISTICS", kShareUpdateExclusive, kNo, kNo,
     false, false, true, ""},
    {"comment", "comment", "COMMENT ON", kShareUpdateExclusive, kNo, kNo, false, false, true, ""},
    {"publication", "publication", "PUBLICATION", kShareUpdateExclusive, kNo, kNo, false, false,
     true, ""},
    {"lock", "lock_table", "LOCK TABLE", kAccessExclusive, kNo, kNo, false, false, true, ""},
    // Tables and views as a whole.
    {"partition_of", "create_partition", "CREATE TABLE … PARTITION OF", kAccessExclusive, kNo, kNo,
     false, false, true,
     "CREATE TABLE … (LIKE parent), then ATTACH PARTITION, whose lock lets everybody work."},
    {"inherits", "create_inherits", "CREATE TABLE … INHERITS", kShareUpdateExclusive, kNo, kNo,
     false, false, true, ""},
    {"references", "create_referencing", "CREATE TABLE … REFERENCES", kShareRowExclusive, kNo, kNo,
     false, false, true, ""},
    {"create_table_as", "create_table_as", "CREATE TABLE AS", kAccessShare, kYes, kNo, false, false,
     true, "CREATE TABLE, then INSERT … SELECT in batches."},
    {"create_materialized_view", "create_materialized_view", "CREATE MATERIALIZED VIEW",
     kAccessShare, kYes, kNo, false, false, true, ""},
    {"create_view", "create_view", "CREATE VIEW", kAccessShare, kNo, kNo, false, false, true, ""},
    {"replace_view", "replace_view", "CREATE OR REPLACE VIEW", kAccessExclusive, kNo, kNo, false,
     false, true, ""},
    {"refresh", "refresh_materialized_view", "REFRESH MATERIALIZED VIEW", kAccessExclusive, kYes,
     kYes, false, false, true, "REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index."},
    {"refresh_concurrently", "refresh_concurrently", "REFRESH MATERIALIZED VIEW CONCURRENTLY",
     kExclusive, kYes, kNo, false, false, true, ""},
    {"drop_table", "drop_table", "DROP TABLE", kAccessExclusive, kNo, kNo, true, true, true,
     "First deploy an application that does not mention the table; rename it and keep it until "
     "nobody can want it back; drop it then."},
    {"drop_view", "drop_view", "DROP VIEW", kAccessExclusive, kNo, kNo, false, true, true, ""},
    {"drop_materialized_view", "drop_materialized_view", "DROP MATERIALIZED VIEW", kAccessExclusive,
     kNo, kNo, false, true, true, ""},
    {"drop_sequence", "drop_sequence", "DROP SEQUENCE", kAccessExclusive, kNo, kNo, true, true,
     true, ""},
    {"drop_schema", "drop_schema", "DROP SCHEMA", kNone, kNo, kNo, false, true, true, ""},
    {"drop_schema_cascade", "drop_schema", "DROP SCHEMA … CASCADE", kNone, kNo, kNo, true, true,
     true, "Drop what is in it one by one, having seen what that is."},
    {"drop_other", "drop_object", "DROP", kNone, kNo, kNo, false, true, true, ""},
    {"truncate", "truncate", "TRUNCATE", kAccessExclusive, kNo, kYes, true, false, true,
     "DELETE, which Pawl runs in batches and can take back."},
    {"cluster", "cluster", "CLUSTER", kAccessExclusive, kYes, kYes, false, false, true,
     "Make a table beside it, copy the rows in that order in batches, and change the names."},
    {"cluster_all", "cluster", "CLUSTER", kAccessExclusive, kYes, kYes, false, false, false,
     "Make a table beside it, copy the rows in that order in batches, and change the names."},
    {"vacuum_full", "vacuum_full", "VACUUM FULL", kAccessExclusive, kYes, kYes, false, false, false,
     "VACUUM gives room back to the table; to make the file smaller, copy the rows in "
     "batches to a new table, and change the names."},
    {"vacuum", "vacuum", "VACUUM", kShareUpdateExclusive, kYes, kNo, false, false, false, ""},
    {"analyze", "analyze", "ANALYZE", kShareUpdateExclusive, kNo, kNo, false, false, true, ""},
    // Sequences and types.
    {"alter_sequence", "alter_sequence", "ALTER SEQUENCE", kShareRowExclusive, kNo, kDepends, false,
     false, true, ""},
    {"owned_by", "sequence_owner", "SEQUENCE … OWNED BY", kAccessShare, kNo, kNo, false, false,
     true, ""},
    {"enum_value", "enum_value", "ALTER TYPE … ADD VALUE", kNone, kNo, kNo, false, false, true, ""},
    {"enum_rename", "enum_rename_value", "ALTER TYPE … RENAME VALUE", kNone, kNo, kNo, false, true,
     true, ""},
    {"domain_constraint", "domain_constraint", "ALTER DOMAIN … ADD CONSTRAINT", kNone, kYes, kNo,
     false, false, true,
     "Add it NOT VALID, then ALTER DOMAIN … VALIDATE CONSTRAINT; that one reads every table that "
     "uses the domain and stops writes to it meanwhile, so choose a quiet hour, or give the "
     "tables checks of their own."},
    {"domain_constraint_not_valid", "domain_constraint_not_valid",
     "ALTER DOMAIN … ADD CONSTRAINT … NOT VALID", kNone, kNo, kNo, false, false, true, ""},
    {"domain_not_null", "domain_not_null", "ALTER DOMAIN … SET NOT NULL", kNone, kYes, kNo, false,
     false, true, "Give each column of the domain a validated check, and SET NOT NULL there."},
    {"domain_validate", "domain_validate", "ALTER DOMAIN … VALIDATE CONSTRAINT", kNone, kYes, kNo,
     false, false, true,
     "It stops writes to every table that uses the domain: choose a quiet hour, or give the "
     "tables checks of their own."},
    {"domain_other", "alter_domain", "ALTER DOMAIN", kNone, kNo, kNo, false, false, true, ""},
};

}  // namespace

const EffectRow* RowOf(std::string_view key) {
  const auto* const found = std::find_if(std::begin(kRows), std::end(kRows),
                                         [&](const EffectRow& row) { return row.key == key; });
  return found == std::end(kRows) ? nullptr : found;
}

DdlEffect EffectOf(const EffectRow& row, const TableName& table) {
  DdlEffect effect;
  effect.rule = row.rule;
  effect.words = row.words;
  if (row.lock != kNone && !table.name.empty()) effect.locks.push_back({table, row.lock});
  effect.scans = row.scans;
  effect.rewrites = row.rewrites;
  effect.in_transaction = row.in_transaction;
  effect.loses_data = row.loses_data;
  effect.breaks_readers = row.breaks_readers;
  effect.online_form = row.online_form;
  return effect;
}

}  // namespace pawl::schema
