// One column takes over from another, with all that hangs on it: first everything is built on the
// incoming column beside what is there, while others write; then one short transaction swaps.
//
//     before   id integer (primary key, default, …)     id_pawl_new bigint (indexes, checks, …)
//     after    id_pawl_old integer                      id bigint (primary key, default, …)
//
// The way back is the same move with the columns in each other's place. What is unique, checked or
// referenced goes from the outgoing column with the swap: it may not refuse what only the new shape
// allows. Its plain indexes stay, under another name. Where both columns always hold the same, it gets
// an index of its own for each unique one: statements by its name find their rows and their ON CONFLICT
// until the contract.
//
// Rendering only. Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

#include "schema/column_uses.h"
#include "schema/plan.h"

namespace pawl::schema {

struct ColumnMove {
  TableName table;
  ColumnUses uses;
  std::string named;  // The column's name in the definitions of `uses`.
  std::string outgoing;
  std::string incoming;
  std::string outgoing_after;  // Their names afterwards; the same where no name changes.
  std::string incoming_after;
  std::string incoming_suffix;  // Of what is built on `incoming` until the swap.
  std::string outgoing_suffix;  // Of the plain indexes that stay on `outgoing`.
  std::string incoming_type;    // Of an identity's sequence.
  bool is_back = false;         // The plain indexes of `incoming` are there already.
  bool is_same = false;         // Both columns hold the same.
  bool shares_default = false;  // Both have it, before the swap and after.
  // Statements that fail, with a sentence, where the swap may not happen. It asks under its lock.
  std::string guards;
};

// One thing to be built, or proved, on the incoming column.
struct Building {
  std::string title;
  std::string sql;
  std::string undo;
  bool is_long = false;        // Outside of a transaction.
  bool stops_readers = false;  // For a moment, and else those who write only.
  std::string settled;
  std::string leftover;
  TableName table;
  std::vector<TableName> also;
  std::string why;
};

// In the order in which they are to be done. Returns the name of what is not understood in
// `obstacle`.
std::vector<Building> BuildingsOf(const ColumnMove& move, std::string& obstacle);

// The swap: one transaction's statements, which touch the catalogue only.
std::string RenderSwap(const ColumnMove& move);

// The tables that it locks beside move.table, once each.
std::vector<TableName> OthersLocked(const ColumnMove& move);

}  // namespace pawl::schema
