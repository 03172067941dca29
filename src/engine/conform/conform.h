// SPDX-License-Identifier: Apache-2.0
// Golden cases: folders that hold a tiny checkpoint and what a correct engine computes from it, or files that must be
// refused. What a case is follows from what its folder holds, never from its name:
//
//   manifest.json                                 files that are malformed or nearly so            refusals.h
//   golden.json, engram_config.json               the Engram module alone, with its gradients      engram.h
//   golden.json, <TYPE>.blocks beside .values     blocks of stored formats                         blocks.h
//   golden.json, config.json or *.gguf            a model: tensors, choices, greedy continuations  model.h
//
// Tolerances are those that the goldens' README gives for a class.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "kernels/isa.h"

namespace unha {

struct ConformOptions {
  Numerics numerics = Numerics::kF32;
  Isa isa = Isa::kScalar;
  int threads = 0;  // 0: all cores
};

struct CasePlace {
  std::string folder;
  bool manifest = false;  // manifest.json, not golden.json
};

enum class CaseStatus { kPass, kFail, kSkip };
std::string_view status_name(CaseStatus status);  // PASS, FAIL, SKIP

struct CaseResult {
  std::string path;
  CaseStatus status = CaseStatus::kFail;
  std::string reason;  // one line
  std::string numerics;
  std::optional<double> max_abs, rel_rms;  // of logits, or of what the case has in their place; nothing: not compared
  Json checks = Json::object();            // by name: {"ok", "judged", and what was measured}
};

// Every case below the paths, themselves included, in order of path; links are followed, each folder is taken once.
// Error(kNotFound) for a path that is not there, Error(kInvalidArgument) for one that is no folder.
std::vector<CasePlace> find_cases(const std::vector<std::string>& paths);

// Never throws: a damaged golden, a model that does not load and a wrong number are all a FAIL with a reason.
CaseResult run_case(const CasePlace& place, const ConformOptions& options);

// {"cases": [...], "passed", "failed", "skipped"}
Json conform_json(const std::vector<CaseResult>& results);

}  // namespace unha
