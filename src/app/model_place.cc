// SPDX-License-Identifier: Apache-2.0
#include "app/model_place.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/error.h"

namespace unha {

namespace fs = std::filesystem;

std::string bundled_model() {
  std::error_code error;
  fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<fs::path> places;
  // build/release/unha stands two folders below the source tree.
  for (fs::path folder = program; places.size() < 4; folder = folder.parent_path()) {
    places.push_back(folder / "models/unha-tiny");
    if (folder == folder.parent_path()) break;
  }
  places.push_back(program.parent_path() / "share/unha/models/unha-tiny");
  for (const fs::path& place : places) {
    if (fs::exists(place / "config.json", error)) return place.string();
  }
  throw Error(ErrorCode::kNotFound,
              fmt::format("the bundled model is neither at {} nor in a folder above", places.front().string()),
              "name a model folder: unha chat MODEL");
}

std::string state_file(const std::string& name) {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  if (state != nullptr && *state == '/') {
    folder = state;
  } else if (home != nullptr && *home != '\0') {
    folder = fs::path(home) / ".local/state";
  } else {
    return "";
  }
  folder /= "unha";
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? "" : (folder / name).string();
}

}  // namespace unha
