// Whether what an UPDATE wrote can be computed again from the old values of the row.
#pragma once

#include <string>

#include "db/session.h"
#include "schema/plan.h"

namespace pawl::verify {

// Returns why the expressions cannot be evaluated over the old row with the same result, as the end
// of a sentence ("a function of it may give something else at another time"), or an empty text
// where they can. In doubt they cannot. `statement` is the statement's text. Throws db::Error.
std::string WhyNotDerivable(db::Session& session, const schema::Backfill& backfill,
                            const std::string& statement);

}  // namespace pawl::verify
