// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/refusals.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "engine/conform/pass.h"
#include "io/file.h"
#include "model/generations.h"

namespace unha {

namespace {

constexpr int64_t kTokens = 8;  // of the pass over a model that has loaded

struct Entry {
  std::string name;
  bool valid = false, lenient = false;
};

std::vector<Entry> read_manifest(const std::string& folder) {
  Json json = parse_json(read_file(folder + "/manifest.json"), "manifest.json");
  if (!json.is_object()) throw_error(ErrorCode::kCorrupt, "manifest.json: expected an object");
  std::vector<Entry> entries;
  for (const auto& [name, about] : json.items()) {
    JsonReader reader(about, "manifest.json: " + quoted_name(name));
    entries.push_back({name, reader.require<bool>("valid"), reader.has("lenient")});
    if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..") {
      throw_error(ErrorCode::kCorrupt, "manifest.json: {} is no name in this folder", quoted_name(name));
    }
    if (!std::filesystem::exists(folder + "/" + name)) {
      throw_error(ErrorCode::kNotFound, "manifest.json names {}, which is not there", quoted_name(name));
    }
  }
  return entries;
}

struct Outcome {
  bool refused = false;  // by an Error, the only exception that names a cause
  std::string problem;   // why it is refused, or what is wrong although it is not
};

// Loads the model and reads a few tokens.
Outcome try_model(const std::string& path, const ConformOptions& options) {
  try {
    LoadedModel loaded = load_model(path, options.numerics);
    EngineOptions engine_options;
    engine_options.threads = options.threads;
    engine_options.isa = options.isa;
    Engine engine(std::move(loaded.model), loaded.numerics, engine_options);
    std::vector<int32_t> ids(static_cast<size_t>(std::min(kTokens, engine.model().vocab_size())));
    std::iota(ids.begin(), ids.end(), 0);
    for (float x : run_whole(engine, ids, false).logits) {
      if (!std::isfinite(x)) return {false, "loads, but its logits are not finite"};
    }
  } catch (const Error& error) {
    return {true, error.message()};
  } catch (const std::exception& error) {
    return {false, fmt::format("ends without a cause ({})", error.what())};
  }
  return {};
}

}  // namespace

void check_refusals(const std::string& folder, const ConformOptions& options, Checks& checks) {
  int64_t malformed = 0, valid = 0, lenient = 0;
  std::vector<std::string> accepted, refused;
  for (const Entry& entry : read_manifest(folder)) {
    Outcome outcome = try_model(folder + "/" + entry.name, options);
    (entry.lenient ? lenient : entry.valid ? valid : malformed) += 1;
    bool unnamed = !outcome.refused && !outcome.problem.empty();
    if (entry.valid && !outcome.problem.empty()) refused.push_back(entry.name + ": " + outcome.problem);
    if (!entry.valid && (unnamed || (!outcome.refused && !entry.lenient))) {
      accepted.push_back(entry.name + " " + (unnamed ? outcome.problem : "loads"));
    }
  }
  auto problem = [](const std::vector<std::string>& which) {
    if (which.size() <= 1) return which.empty() ? std::string() : which.front();
    return fmt::format("{} and {} more", which.front(), which.size() - 1);
  };
  checks.judge("malformed", problem(accepted), {{"entries", malformed}, {"accepted", accepted}});
  checks.judge("valid", problem(refused), {{"entries", valid}, {"refused", refused}});
  checks.report("lenient", {{"entries", lenient}});
  checks.note(fmt::format("{} malformed refused, {} valid loaded, {} may do either", malformed, valid, lenient));
}

}  // namespace unha
