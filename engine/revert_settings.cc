#include <boost/json.hpp>

#include <fmt/format.h>

#include "db/error.h"
#include "engine/run_process.h"

namespace pawl::engine {

std::string ToText(const RevertSettings& settings) {
  boost::json::object object;
  object["batches"] = boost::json::value_from(settings.batches);
  object["on_conflict"] = static_cast<int>(settings.on_conflict);
  return boost::json::serialize(object);
}

RevertSettings RevertSettingsFrom(const std::string& text) {
  try {
    RevertSettings settings;
    const boost::json::value value = boost::json::parse(text);
    settings.batches = boost::json::value_to<std::vector<std::int64_t>>(value.at("batches"));
    settings.on_conflict = static_cast<OnConflict>(value.at("on_conflict").as_int64());
    return settings;
  } catch (const std::exception&) {
    throw db::Error(db::Action::kStop,
                    fmt::format("pawl.run.revert_options holds {}, which is no JSON that this "
                                "program wrote. Ask for the revert again with `pawl revert`, which "
                                "writes it anew.",
                                text));
  }
}

}  // namespace pawl::engine
