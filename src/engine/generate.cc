// SPDX-License-Identifier: Apache-2.0
#include "engine/generate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/sha256.h"
#include "engine/clock.h"
#include "engine/text_out.h"
#include "ops/head_loss.h"

namespace unha {

namespace {

// One reply in the making.
class Reply {
 public:
  Reply(Engine& engine, Session& session, std::span<const int32_t> prompt, const GenerateOptions& options)
      : engine_(engine),
        session_(session),
        prompt_(prompt),
        options_(options),
        sampler_(options.sampling, engine.drawable_ids()),
        text_(engine.tokenizer(), options.stop, {options.think == Think::kHide, options.begins_in_thought},
              options.on_text),
        end_ids_(engine.end_ids()) {
    limit_ = std::min(options.max_tokens, session.capacity() - static_cast<int64_t>(prompt.size()));
    end_ids_.insert(end_ids_.end(), options.end_ids.begin(), options.end_ids.end());
    if (options.past_end) end_ids_.clear();
    for (int32_t id : prompt) sampler_.seen(id);
    if (options.digest) sha_.emplace();
    if (options.think == Think::kOff && engine.tokenizer() != nullptr) {
      if (auto id = engine.tokenizer()->id_of("<think>")) sampler_.ban(*id);
    }
    out_.ids.reserve(static_cast<size_t>(std::max<int64_t>(limit_, 0)));
  }

  Generated run() {
    GenerateStats& stats = out_.stats;
    stats.prompt_tokens = static_cast<int64_t>(prompt_.size());
    auto start = Clock::now();
    Tensor first = session_.prefill(prompt_, &stats.prefill_tokens, options_.go_on);
    if (first.empty()) end(Finish::kInterrupted);
    if (!done_ && limit_ <= 0) end(Finish::kLength);
    if (!done_) take(first.row<float>(0));
    stats.prefill_s = seconds_since(start);
    start = Clock::now();
    while (!done_) {
      if (options_.go_on && !options_.go_on()) {
        end(Finish::kInterrupted);
      } else if (options_.speculate) {
        step_with_draft();
      } else {
        int32_t last = out_.ids.back();
        take(session_.decode({&last, 1}).row<float>(0));
      }
    }
    stats.decode_s = seconds_since(start);
    stats.decode_tokens = std::max<int64_t>(static_cast<int64_t>(out_.ids.size()) - 1, 0);
    text_.finish();
    out_.text = text_.text();
    if (sha_) out_.logits_digest = sha_->hex();
    return std::move(out_);
  }

 private:
  int64_t position() const { return static_cast<int64_t>(prompt_.size() + out_.ids.size()); }
  void end(Finish finish) {
    out_.finish = finish;
    done_ = true;
  }

  // The next token from its row.
  void take(const float* logits) {
    int32_t id = sampler_.draw(logits, position());
    auto vocab = static_cast<size_t>(engine_.model().vocab_size());
    if (sha_) sha_->update(logits, vocab * sizeof(float));
    if (options_.logprobs >= 0) out_.logprobs.push_back(token_logprob({logits, vocab}, id, options_.logprobs));
    out_.ids.push_back(id);
    sampler_.seen(id);
    if (std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end()) return end(Finish::kStop);
    text_.push(id);
    if (text_.stopped()) return end(Finish::kStop);
    if (static_cast<int64_t>(out_.ids.size()) >= limit_) end(Finish::kLength);
  }

  void step_with_draft() {
    int32_t last = out_.ids.back();
    Tensor guess = session_.draft(last);  // also where no draft is wanted: the drafter must see every token
    if (static_cast<int64_t>(out_.ids.size()) + 1 >= limit_) {
      take(session_.decode({&last, 1}).row<float>(0));
      return;
    }
    // The position of the draft is that of the token drawn from the first row.
    std::array<int32_t, 2> ids = {last, sampler_.draw(guess.row<float>(0), position())};
    Tensor rows = session_.decode(ids);
    ++out_.stats.drafted;
    take(rows.row<float>(0));
    if (out_.ids.back() != ids[1]) {
      session_.keep(session_.length() - 1);
      return;
    }
    ++out_.stats.accepted;
    if (!done_) take(rows.row<float>(1));
  }

  Engine& engine_;
  Session& session_;
  std::span<const int32_t> prompt_;
  const GenerateOptions& options_;
  Sampler sampler_;
  TextOut text_;
  std::vector<int32_t> end_ids_;
  std::optional<Sha256> sha_;
  int64_t limit_ = 0;
  bool done_ = false;
  Generated out_;
};

}  // namespace

const char* finish_name(Finish finish) {
  switch (finish) {
    case Finish::kStop:
      return "stop";
    case Finish::kLength:
      return "length";
    case Finish::kInterrupted:
      break;
  }
  return "interrupted";
}

Generated generate(Engine& engine, Session& session, std::span<const int32_t> prompt, const GenerateOptions& options) {
  UNHA_CHECK(!options.speculate || session.drafting(), "speculation without a drafting session");
  Generated out = Reply(engine, session, prompt, options).run();
  ModelCosts costs = engine.model().costs(1);
  out.stats.engram_rows = costs.engram_rows_per_token;
  out.stats.engram_bytes = costs.engram_bytes_per_token;
  double middle = static_cast<double>(prompt.size()) + static_cast<double>(out.ids.size()) / 2;
  int64_t cache = engine.model().cache_layout().bytes_per_token(engine.ctx().operand());
  out.stats.bytes_per_token = engine.decode_weight_bytes() + middle * static_cast<double>(cache);
  return out;
}

double score(Engine& engine, std::span<const int32_t> prompt, std::span<const int32_t> continuation) {
  std::vector<int32_t> ids(prompt.begin(), prompt.end());
  ids.insert(ids.end(), continuation.begin(), continuation.end());
  if (prompt.empty() || continuation.empty() || static_cast<int64_t>(ids.size()) > engine.context() + 1) {
    throw_error(ErrorCode::kInvalidArgument, "cannot score {} tokens behind {} in a context of {}", continuation.size(),
                prompt.size(), engine.context());
  }
  auto n = static_cast<int64_t>(ids.size()) - 1;
  auto from = static_cast<int64_t>(prompt.size()) - 1;
  engine.begin();
  Ctx& ctx = engine.ctx();
  Segment segment{0, n, 0};
  Tensor h = engine.model().trunk(ctx, Batch{std::span(ids).first(static_cast<size_t>(n)), {&segment, 1}, {}, nullptr});
  Tensor rows = engine.model().final_norm(ctx, h.slice_rows(from, n - from));
  return -ops::sum_rows(ctx, ops::head_loss(ctx, rows, engine.model().head(), continuation, {}).nll);
}

}  // namespace unha
