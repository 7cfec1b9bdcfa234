// A file that holds the run as long as it exists: the oldest switch there is, and one that every
// deployment script can throw.
#include <filesystem>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class FlagFile : public Signal {
 public:
  explicit FlagFile(std::string path) : path_(std::move(path)) {}

  std::string name() const override { return "flag_file"; }

  std::optional<std::string> Obstacle(db::Session&) override {
    const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
    std::error_code error;
    if (path_.starts_with('/') && std::filesystem::is_directory(folder, error)) return std::nullopt;
    return fmt::format("flag_file={} must be a whole path in a directory that exists.", path_);
  }

  std::optional<Reading> Read(db::Session&) override {
    std::error_code error;
    const bool there = std::filesystem::exists(path_, error);
    if (error) throw db::Error(db::Action::kStop, path_ + ": " + error.message());
    return Reading{there ? 1.0 : 0.0, 1, there ? 1.0 : 0.0,
                   fmt::format("the file {} {}", path_, there ? "exists" : "does not exist"),
                   false};
  }

 private:
  std::string path_;
};

}  // namespace

std::unique_ptr<Signal> MakeFlagFile(const Scene& scene) {
  const std::string path = schema::ThrottleValue(scene.values, "flag_file");
  return path == "off" ? nullptr : std::make_unique<FlagFile>(path);
}

}  // namespace pawl::throttle
