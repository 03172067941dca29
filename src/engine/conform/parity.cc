// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/parity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/generate.h"

namespace unha {

namespace {

// Rows that are other bytes than those of `whole` from `row` on: the first of them; -1: none.
int64_t first_other_row(const Tensor& rows, const std::vector<float>& whole, int64_t row) {
  for (int64_t r = 0; r < rows.rows(); ++r) {
    const float* expected = whole.data() + (row + r) * rows.cols();
    if (std::memcmp(rows.row<float>(r), expected, static_cast<size_t>(rows.cols()) * sizeof(float)) != 0) return r;
  }
  return -1;
}

bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

Cutting cut_evenly(int64_t total, int64_t piece) {
  Cutting cutting;
  for (int64_t begin = 0; begin < total; begin += piece) cutting.push_back(std::min(piece, total - begin));
  return cutting;
}

Cutting cut_growing(int64_t total) {
  Cutting cutting;
  for (int64_t begin = 0, piece = 1; begin < total; begin += piece++) cutting.push_back(std::min(piece, total - begin));
  return cutting;
}

std::string pieces_differ(Engine& engine, const GoldenSequence& sequence, const WholePass& whole,
                          const Cutting& cutting) {
  Session session(engine, static_cast<int64_t>(sequence.ids.size()));
  std::span<const int32_t> ids = sequence.ids;
  int64_t begin = 0;
  for (int64_t piece : cutting) {
    engine.begin();
    StepItem item{&session, ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(piece)), piece, {}, {}};
    engine.step({&item, 1});
    int64_t other = first_other_row(item.logits, whole.logits, begin);
    if (other >= 0) {
      return fmt::format("logits of {} at position {} are other bytes in a piece of {} tokens", sequence.name,
                         begin + other, piece);
    }
    begin += piece;
  }
  return "";
}

std::string drafter_differs(Engine& engine, const GoldenSequence& sequence, const WholePass& whole) {
  if (whole.mtp_logits.empty()) return "";
  auto n = static_cast<int64_t>(sequence.ids.size());
  Session session(engine, n, true);
  for (int64_t i = 0; i + 1 < n; ++i) {
    session.decode({&sequence.ids[static_cast<size_t>(i)], 1});
    if (first_other_row(session.draft(sequence.ids[static_cast<size_t>(i) + 1]), whole.mtp_logits[0], i) >= 0) {
      return fmt::format("drafts of {} at position {} are other bytes token by token", sequence.name, i);
    }
  }
  return "";
}

std::string engines_differ(Engine& other, const GoldenSequence& sequence, const WholePass& whole) {
  WholePass pass = run_whole(other, sequence.ids, false);
  bool same = same_bytes(pass.logits, whole.logits) && pass.mtp_logits.size() == whole.mtp_logits.size();
  for (size_t k = 0; same && k < pass.mtp_logits.size(); ++k)
    same = same_bytes(pass.mtp_logits[k], whole.mtp_logits[k]);
  std::string problem = same ? "" : fmt::format("logits of {} are other bytes", sequence.name);
  if (same) problem = pieces_differ(other, sequence, whole, cut_growing(static_cast<int64_t>(sequence.ids.size())));
  return problem.empty() ? "" : fmt::format("{} on {} threads", problem, other.threads());
}

std::string drafts_differ(Engine& engine, const std::vector<int32_t>& prompt, int64_t n, int64_t* drafted) {
  for (bool sampled : {false, true}) {
    GenerateOptions options;
    options.sampling.temperature = sampled ? 0.8 : 0;
    options.sampling.seed = 1;
    options.max_tokens = n;
    options.digest = true;
    options.past_end = true;
    auto reply = [&](bool speculate) {
      options.speculate = speculate;
      Session session(engine, static_cast<int64_t>(prompt.size()) + n, speculate);
      return generate(engine, session, prompt, options);
    };
    Generated plain = reply(false), speculative = reply(true);
    *drafted += speculative.stats.drafted;
    if (plain.ids != speculative.ids || plain.logits_digest != speculative.logits_digest) {
      return fmt::format("a {} reply is another one with drafts", sampled ? "sampled" : "greedy");
    }
  }
  return "";
}

}  // namespace unha
