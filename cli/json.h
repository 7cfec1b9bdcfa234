// What --json prints: the engine's answers as JSON objects. What is not known is null. Names and
// meanings stay; new members may come.
//
// Thread safety: all functions.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>

#include "engine/engine.h"

namespace pawl::cli {

boost::json::object ToJson(const engine::Progress& progress);
boost::json::object ToJson(const engine::RunStatus& status);
boost::json::object ToJson(const engine::AppliedMigration& applied);
boost::json::object ToJson(const engine::DriftReport& report);
boost::json::object ToJson(const engine::RunResult& result);
boost::json::object ToJson(const engine::VerifyReport& report);
boost::json::object ToJson(const engine::RevertPreview& preview);
boost::json::object ToJson(const engine::ThrottleReport& report);

// The object that ends a command: {"event":"result", …, "exit":N}.
boost::json::value ResultEvent(boost::json::object members, int exit_code);

// `value` as text. Boost.JSON's own writes 6.2 as 6.2E0, which no person wants to read.
std::string OnOneLine(const boost::json::value& value);

}  // namespace pawl::cli
