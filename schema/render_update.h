// UPDATE as a batch: how it keeps the old values depends on the server and on what the statement
// reads. For the files render_*.cc only.
#pragma once

#include "schema/render_parts.h"

namespace pawl::schema {

// As RenderChange, for an UPDATE.
Rendered RenderUpdate(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                      int server_version);

}  // namespace pawl::schema
