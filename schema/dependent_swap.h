// The part of a swap that concerns what reads the column (schema/dependents.h), as statements of its
// transaction, in this order:
//
//     views locked    before their table, as whoever reads through them does
//     (table locked, guards asked)
//     taken down      what is not in the definitions is noted: owner, grants, comments, …
//     (the columns change over)
//     put up          made again, given what was noted, and compared with it
//
// All return a text that ends with ";\n", or nothing where nothing depends on the column.
//
// Rendering only. Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

#include "schema/dependents.h"

namespace pawl::schema {

struct DependentSwap {
  TableName table;
  std::string outgoing;  // The two columns, as they are called before the swap …
  std::string incoming;
  std::string outgoing_after;  // … and after it. Where nothing is renamed, the same.
  // Each column goes on under its own name, so definitions over the one become definitions over the
  // other. Else the incoming one gets the name that stands in them.
  bool is_new_name = false;
  std::vector<Dependent> dependents;
};

std::string RenderViewLocks(const DependentSwap& swap);
std::string RenderTakenDown(const DependentSwap& swap);
std::string RenderPutUp(const DependentSwap& swap);

// All of it around a statement that changes the column where it is, with `guards` asked before.
std::string RenderAround(const DependentSwap& swap, const std::string& guards,
                         const std::string& change);

// What the plan says of each of them.
void AddDependentNotes(const std::vector<Dependent>& dependents, bool is_new_name,
                       std::vector<std::string>& notes);

// The views that it locks, the one that is to be locked first in front.
std::vector<TableName> ViewsLocked(const std::vector<Dependent>& dependents);

}  // namespace pawl::schema
