#include <stdexcept>

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
    const std::int64_t policy = value.at("on_conflict").as_int64();
    if (policy < 0 || policy > static_cast<int>(OnConflict::kForce)) {
      throw std::out_of_range("on_conflict");
    }
    settings.on_conflict = static_cast<OnConflict>(policy);
    return settings;
  } catch (const std::exception&) {
    throw db::Error(db::Action::kStop,
                    fmt::format("pawl.run.revert_options holds {}, which this program did not "
                                "write. Ask for the revert again with `pawl revert`, which "
                                "writes it anew.",
                                text));
  }
}

}  // namespace pawl::engine
