// SPDX-License-Identifier: Apache-2.0
// From a row of logits to the next token. The random number belongs to the position: it is a function of seed, sample
// and position alone, so a draft, a retry or a batch draws what plain decoding draws. All in double from operations
// that are exact by IEEE 754 (base/exact_math.h), so every machine draws the same.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace unha {

// Applied in this order: repetition penalty, temperature, top-k, top-p, min-p.
struct SamplingOptions {
  double temperature = 0.6;  // 0: the greatest logit
  int64_t top_k = 0;         // 0: all
  double top_p = 0.95;
  double min_p = 0;  // share of the most probable token's probability
  double repetition_penalty = 1;
  uint64_t seed = 0;
  uint64_t sample = 0;  // number of the request or sample
};

// Error(kUsage) that names the option and its range.
void check_sampling(const SamplingOptions& options);

class Sampler {
 public:
  // drawable: ids from here on are never drawn.
  Sampler(const SamplingOptions& options, int64_t drawable);

  // The token at `position` of the sequence; ties go to the lower id. Error(kCorrupt) if a logit is not finite.
  int32_t draw(const float* logits, int64_t position);
  // What the repetition penalty has to know: ids that have occurred.
  void seen(int32_t id);
  void ban(int32_t id);  // never draw it

 private:
  struct Candidate {
    double weight;
    int32_t id;
  };
  static bool less(const Candidate& a, const Candidate& b) {
    return a.weight < b.weight || (a.weight == b.weight && a.id > b.id);
  }
  double logit(const float* logits, int64_t id) const;
  int32_t greatest(const float* logits) const;

  SamplingOptions options_;
  std::vector<uint8_t> seen_, banned_;
  std::vector<Candidate> candidates_;
};

}  // namespace unha
