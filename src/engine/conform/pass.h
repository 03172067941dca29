// SPDX-License-Identifier: Apache-2.0
// One pass of a model over a sequence, and everything that it shows on the way.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace unha {

// An observed tensor under its golden name without the sequence: "attn.2", "router.1.ids", "mtp.0.hidden".
struct Observed {
  int64_t rows = 0, cols = 0;
  std::vector<double> values;
};

struct WholePass {
  std::map<std::string, Observed> seen;        // empty unless asked for
  std::vector<float> logits;                   // [T, V]
  std::vector<std::vector<float>> mtp_logits;  // per module k: [T - 1 - k, V]
};

// All of ids [T] at once and without caches, as training reads them; then the modules of multi-token prediction, each
// over the rows whose next ids are known.
WholePass run_whole(Engine& engine, std::span<const int32_t> ids, bool observe);

}  // namespace unha
