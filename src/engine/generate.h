// SPDX-License-Identifier: Apache-2.0
// A reply: prompt ids in, tokens out, with streaming text, stop strings and, if asked for, drafts by multi-token
// prediction. A draft is accepted if it is the very token that plain decoding draws at its position, so ids, text and
// digest do not depend on drafting.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/logprobs.h"
#include "engine/sampler.h"
#include "engine/session.h"

namespace unha {

enum class Think { kOn, kOff, kHide };  // kOff: <think> is never drawn; kHide: thoughts are not part of the text

struct GenerateOptions {
  SamplingOptions sampling;
  int64_t max_tokens = 512;
  std::vector<std::string> stop;
  Think think = Think::kOn;
  bool begins_in_thought = false;     // the prompt has opened one
  std::vector<int32_t> end_ids = {};  // any of them ends the reply, beside those of the engine
  bool speculate = false;             // the session must be drafting
  bool digest = false;                // of the logits; costs a hash of every row
  int64_t logprobs = -1;              // this many of the most probable ids per token; -1: no log-probabilities at all
  bool past_end = false;              // go on behind tokens that end a reply
  // A piece of text as soon as it is certain; thinking: between <think> and </think>.
  std::function<void(std::string_view text, bool thinking)> on_text;
  std::function<bool()> go_on;  // asked before each step; false ends the reply
};

enum class Finish { kStop, kLength, kInterrupted };
const char* finish_name(Finish finish);  // stop, length, interrupted

struct GenerateStats {
  int64_t prompt_tokens = 0;
  int64_t prefill_tokens = 0;  // those that were run; the rest was there
  double prefill_s = 0;
  int64_t decode_tokens = 0;  // all but the first, which prefill gives
  double decode_s = 0;
  int64_t drafted = 0;
  int64_t accepted = 0;
  double bytes_per_token = 0;  // weights in use, cache and Engram rows that one decoded token reads
  int64_t engram_rows = 0;     // per token
  int64_t engram_bytes = 0;

  double prefill_tokens_per_s() const { return prefill_s > 0 ? static_cast<double>(prefill_tokens) / prefill_s : 0; }
  double decode_tokens_per_s() const { return decode_s > 0 ? static_cast<double>(decode_tokens) / decode_s : 0; }
  double gigabytes_per_s() const { return decode_tokens_per_s() * bytes_per_token * 1e-9; }
};

struct Generated {
  std::vector<int32_t> ids;  // the stop token included
  std::string text;          // special tokens and stop strings left out
  Finish finish = Finish::kLength;
  GenerateStats stats;
  std::vector<TokenLogprob> logprobs;  // per id, if asked for
  std::string logits_digest;           // SHA-256 of the little-endian f32 rows from which each id was drawn
};

Generated generate(Engine& engine, Session& session, std::span<const int32_t> prompt, const GenerateOptions& options);

// Sum of log-probabilities (nats) of `continuation` behind `prompt`.
double score(Engine& engine, std::span<const int32_t> prompt, std::span<const int32_t> continuation);

}  // namespace unha
