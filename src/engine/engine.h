// SPDX-License-Identifier: Apache-2.0
// An engine is a model ready to answer: weights, tokenizer, threads, step memory. Sessions (session.h) are timelines on
// it; any number of them can be advanced in one step. One thread of the caller at a time; nothing here prints.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/threads.h"
#include "engine/memory_plan.h"
#include "model/generations.h"
#include "ops/ctx.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace unha {

struct EngineOptions {
  int threads = 0;  // 0: all cores
  Isa isa = Isa::kScalar;
  std::optional<Numerics> numerics;                // empty: as the model says
  int64_t context = 0;                             // positions per session; 0: the model's, at most kDefaultContext
  int64_t prefill_chunk = 256;                     // tokens of a prompt per step
  int64_t memory_limit = 0;                        // bytes; 0: what the machine has available
  bool allow_unknown_keys = false;                 // of config.json: Model::unknown_keys() lists them
  bool allow_mmap = false;                         // weights may exceed memory: pages are read again and again
  std::function<void(const MemoryPlan&)> planned;  // called before a weight is read
  std::function<void(int64_t, int64_t)> progress;  // bytes read of bytes
};

inline constexpr int64_t kDefaultContext = 8192;

class Session;

// One session's part of a step.
struct StepItem {
  Session* session = nullptr;
  std::span<const int32_t> ids;  // appended behind what the session holds
  int64_t logit_rows = 1;        // logits of this many last rows
  Tensor hidden;                 // out: [ids, D], the trunk's state
  Tensor logits;                 // out: [logit_rows, V]
};

class Engine {
 public:
  // Any path of open_source(). All misfits first, then Error(kResource) with the plan if memory does not suffice, both
  // before any weight is read.
  static std::unique_ptr<Engine> open(const std::string& path, const EngineOptions& options);
  // A model that is there already. No tokenizer.
  Engine(std::unique_ptr<Model> model, Numerics numerics, const EngineOptions& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  Model& model() { return *loaded_.model; }
  Numerics numerics() const { return loaded_.numerics; }
  Isa isa() const { return isa_; }
  Ctx& ctx() { return ctx_; }
  const ModelSource* source() const { return loaded_.source.get(); }  // null: the model was not loaded
  const MemoryPlan& plan() const { return plan_; }
  double decode_weight_bytes() const { return decode_weight_bytes_; }  // memory_plan.h
  int64_t context() const { return context_; }
  int64_t prefill_chunk() const { return prefill_chunk_; }
  int threads() const { return threads_.count(); }

  const Tokenizer* tokenizer() const { return tokenizer_ ? &*tokenizer_ : nullptr; }
  // Error(kInvalidArgument) if the model has none.
  const Tokenizer& need_tokenizer() const;
  // Nothing if the model has none; Error(kUnsupported) if it is not known.
  std::optional<ChatTemplate> chat_template() const { return ChatTemplate::from_config(tokenizer_config_); }
  const TokenizerConfig& tokenizer_config() const { return tokenizer_config_; }
  // Any of them ends a reply: of config.json, generation_config.json and the tokenizer.
  std::vector<int32_t> end_ids() const;
  int32_t bos_id() const;  // -1: none
  // Ids below this can be drawn: a padded vocabulary is longer than its tokenizer.
  int64_t drawable_ids() const;
  bool adds_bos() const { return tokenizer_config_.add_bos_token && bos_id() >= 0; }  // raw text begins with BOS
  // Added tokens parsed, BOS by the tokenizer's flag.
  std::vector<int32_t> encode_raw(std::string_view text) const;

  // Starts a step: what the last one returned is gone.
  void begin() { arena_.rewind(); }
  // Runs the trunk over all items in one batch and the head over the wanted rows; the sessions have grown afterwards.
  // Results live until begin().
  void step(std::span<StepItem> items);
  // Module 0 of multi-token prediction over rows h [n, D] at positions pos0.. with their next ids; the logits of the
  // last row if they are wanted, else empty.
  Tensor mtp(Session& session, Tensor h, std::span<const int32_t> next_ids, int64_t pos0, bool want_logits);

 private:
  Engine(LoadedModel loaded, const EngineOptions& options, int64_t context);
  void load_text();

  LoadedModel loaded_;
  Threads threads_;
  Arena arena_;
  Isa isa_;
  Ctx ctx_;
  int64_t context_;
  int64_t prefill_chunk_;
  double decode_weight_bytes_;
  MemoryPlan plan_;
  std::optional<Tokenizer> tokenizer_;
  TokenizerConfig tokenizer_config_;
  std::vector<int32_t> generation_end_ids_;

  std::vector<int32_t> ids_;  // of the step, kept so that nothing is allocated
  std::vector<Segment> segments_;
  std::vector<SequenceCache*> caches_;
};

// "eos_token_id" of a generation_config.json, one id or a list; empty: it says nothing. Error(kInvalidArgument) if it
// is anything else.
std::vector<int32_t> generation_end_ids(std::string_view json, const std::string& what);
// The tokenizer of a source, nothing if it has none. Error(kInvalidArgument) if it is longer than the vocabulary.
std::optional<Tokenizer> read_tokenizer(const ModelSource& source, const Model& model);
// tokenizer_config.json and its neighbours of a source; defaults where it has none.
TokenizerConfig read_tokenizer_config(const ModelSource& source);

}  // namespace unha
