// Runs short DDL without a stall: asks for the lock for milliseconds at a time, over a long time,
// and names who holds it.
#pragma once

#include <functional>
#include <string>

#include "db/session.h"
#include "schema/statement.h"

namespace pawl::engine {

// Runs `sql` and then `bookkeeping` in one transaction. While the lock is not had, `waiting` is
// called with a sentence that names the holders; it returns false to give up (then the result is
// false and nothing has changed). Throws db::Error; kRefused after ten minutes without the lock.
bool RunDdl(db::Session& session, const schema::TableName& table, const std::string& sql,
            const std::function<void()>& bookkeeping,
            const std::function<bool(const std::string&)>& waiting);

}  // namespace pawl::engine
