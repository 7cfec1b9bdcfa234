// Where a span stands: everything before it is committed. Stored as JSON text, compared byte for
// byte by the fence, so one state has one text.
//
//   between windows   {"at":["17"]}           every row up to ["17"] is done; null: none yet
//   inside a window   {"at":["40"],"window":[["17"],["90"]],"residues":[3,4]}
//                     rows of (17, 90] with residue below 3 are done, of residue 3 those up to 40
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schema/position.h"

namespace pawl::batching {

struct Cursor {
  std::optional<schema::Position> at;
  bool in_window = false;
  std::optional<schema::Position> window_lo;
  schema::Position window_hi;
  std::int64_t residue_lo = 0;
  std::int64_t residue_hi = 0;
};

std::string ToText(const Cursor& cursor);
// Throws db::Error (kStop) when `text` is not a cursor of this version.
Cursor CursorFrom(const std::string& text);

}  // namespace pawl::batching
