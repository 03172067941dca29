// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/conform.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "engine/conform/blocks.h"
#include "engine/conform/checks.h"
#include "engine/conform/engram.h"
#include "engine/conform/golden.h"
#include "engine/conform/model.h"
#include "engine/conform/refusals.h"

namespace unha {

namespace {

namespace fs = std::filesystem;

// visited: canonical paths, so that links lead nowhere twice.
void walk(const fs::path& folder, std::set<fs::path>& visited, std::vector<CasePlace>& out) {
  if (!visited.insert(fs::canonical(folder)).second) return;
  std::vector<fs::path> below;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory(ignored)) below.push_back(entry.path());
  }
  if (fs::exists(folder / "golden.json", ignored)) out.push_back({folder.string(), false});
  if (fs::exists(folder / "manifest.json", ignored)) out.push_back({folder.string(), true});
  std::sort(below.begin(), below.end());
  for (const fs::path& each : below) walk(each, visited, out);
}

void check_golden(const std::string& folder, const ConformOptions& options, Checks& checks, std::string* numerics) {
  Golden golden(folder);
  if (fs::exists(folder + "/engram_config.json")) {
    *numerics = numerics_name(Numerics::kF32);
    return check_engram(golden, options, checks);
  }
  if (!golden.has("sequences")) {
    golden.open_tensors();
    if (holds_blocks(golden)) {
      *numerics = numerics_name(Numerics::kF32);
      return check_blocks(golden, checks);
    }
  }
  check_model(golden, options, checks);
}

}  // namespace

std::string_view status_name(CaseStatus status) {
  switch (status) {
    case CaseStatus::kPass:
      return "PASS";
    case CaseStatus::kSkip:
      return "SKIP";
    case CaseStatus::kFail:
      break;
  }
  return "FAIL";
}

std::vector<CasePlace> find_cases(const std::vector<std::string>& paths) {
  std::vector<CasePlace> out;
  std::set<fs::path> visited;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::exists(path, error)) throw_error(ErrorCode::kNotFound, "{}: there is no such folder", path);
    if (!fs::is_directory(path, error)) throw_error(ErrorCode::kInvalidArgument, "{}: expected a folder", path);
    try {
      walk(path, visited, out);
    } catch (const fs::filesystem_error& failed) {
      throw_error(ErrorCode::kNotFound, "{}: {}", failed.path1().string(), failed.code().message());
    }
  }
  return out;
}

CaseResult run_case(const CasePlace& place, const ConformOptions& options) {
  Checks checks;
  std::string numerics(numerics_name(options.numerics));
  try {
    if (place.manifest) {
      check_refusals(place.folder, options, checks);
    } else {
      check_golden(place.folder, options, checks, &numerics);
    }
  } catch (const Error& error) {
    checks.judge("runs", error.message());
  } catch (const std::bad_alloc&) {
    checks.judge("runs", "out of memory");
  } catch (const std::exception& error) {
    checks.judge("runs", error.what());
  }
  CaseResult result = checks.result();
  result.path = place.folder;
  result.numerics = numerics;
  return result;
}

Json conform_json(const std::vector<CaseResult>& results) {
  Json cases = Json::array();
  int64_t counts[3] = {};
  for (const CaseResult& result : results) {
    ++counts[static_cast<int>(result.status)];
    cases.push_back({{"path", result.path},
                     {"status", std::string(status_name(result.status))},
                     {"reason", result.reason},
                     {"numerics", result.numerics},
                     {"max_abs", result.max_abs ? json_number(*result.max_abs) : Json(nullptr)},
                     {"rel_rms", result.rel_rms ? json_number(*result.rel_rms) : Json(nullptr)},
                     {"checks", result.checks}});
  }
  return {{"cases", cases},
          {"passed", counts[static_cast<int>(CaseStatus::kPass)]},
          {"failed", counts[static_cast<int>(CaseStatus::kFail)]},
          {"skipped", counts[static_cast<int>(CaseStatus::kSkip)]}};
}

}  // namespace unha
