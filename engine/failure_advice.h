// What a run that has failed says for its reason: the server's words, and what the reader can do
// where those words alone do not say it.
//
// Thread safety: all functions.
#pragma once

#include <string>

#include "db/error.h"

namespace pawl::engine {

// Returns `error`'s message, with what to do about its SQLSTATE where that is known.
std::string WithAdvice(const db::Error& error);

// Returns the kStop that ends a run which gets no connection (SQLSTATE 53300) and never had one.
db::Error NoConnection(const db::Error& error);

}  // namespace pawl::engine
