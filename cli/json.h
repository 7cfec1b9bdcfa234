// What --json prints: the engine's answers as JSON objects. What is not known is null. Names and
// meanings stay; new members may come.
//
// Thread safety: all functions.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "engine/engine.h"

namespace pawl::cli {

boost::json::object ToJson(const engine::Progress& progress);
boost::json::object ToJson(const engine::RunStatus& status);
boost::json::object ToJson(const engine::RunResult& result);
boost::json::object ToJson(const engine::VerifyReport& report);
boost::json::object ToJson(const engine::RevertPreview& preview);

// The object that ends a command: {"event":"result", …, "exit":N}.
boost::json::value ResultEvent(boost::json::object members, int exit_code);

}  // namespace pawl::cli
