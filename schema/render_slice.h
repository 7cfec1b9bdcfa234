// Which rows of the walked table belong to a range or a slice, as conditions. For the files
// render_*.cc only.
#pragma once

#include <string>

#include "schema/render_parts.h"

namespace pawl::schema {

// True where ranges are of places (ctid) and not of keys.
bool IsBlock(const Backfill& backfill);

// "lo < key AND key <= hi", half open on the left.
std::string InRange(const Backfill& backfill, const Range& range, Binder& binder);

// The same for the rows of a slice: of its range, those of its residue classes.
std::string InSlice(const Backfill& backfill, const Slice& slice, Binder& binder);

}  // namespace pawl::schema
