// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "engine/conform/compare.h"
#include "engine/conform/parity.h"
#include "engine/session.h"
#include "io/file.h"
#include "model/generations.h"

namespace unha {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kReplyTokens = 12;  // of replies with and without drafts, where the golden has no greedy one
constexpr int64_t kPieces[] = {1, 7, 64};

struct Files {
  bool config = false, safetensors = false, gguf = false;
};

Files look(const std::string& folder) {
  Files files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    files.config |= name == "config.json";
    files.gguf |= name.ends_with(".gguf");
    files.safetensors |=
        name != "golden.safetensors" && (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"));
  }
  return files;
}

std::string model_type(const Golden& golden, const Files& files) {
  if (!files.config) return golden.text("generation");
  Json config = parse_json(read_file(golden.path("config.json")), "config.json");
  return JsonReader(config, "config.json").require<std::string>("model_type");
}

class ModelCheck {
 public:
  ModelCheck(const Golden& golden, const ConformOptions& options, Checks& checks, bool gguf)
      : golden_(golden), options_(options), checks_(checks), gguf_(gguf) {}

  void run() {
    sequences_ = golden_.sequences();
    greedy_ = golden_.greedy();
    engine_ = open(options_.threads);
    check_ids();
    TensorComparison comparison(golden_, options_.numerics);
    for (const GoldenSequence& sequence : sequences_) {
      passes_.push_back(run_whole(*engine_, sequence.ids, true));
      comparison.sequence(sequence, passes_.back());
      passes_.back().seen.clear();
    }
    comparison.finish(checks_, gguf_);
    check_greedy();
    check_pieces();
    check_threads();
    check_drafts();
  }

 private:
  std::unique_ptr<Engine> open(int threads) const {
    LoadedModel loaded = load_model(golden_.folder(), options_.numerics);
    EngineOptions engine_options;
    engine_options.threads = threads;
    engine_options.isa = options_.isa;
    return std::make_unique<Engine>(std::move(loaded.model), loaded.numerics, engine_options);
  }

  void check_ids() const {
    auto check = [&](const std::vector<int32_t>& ids, const std::string& what) {
      for (int32_t id : ids) {
        if (id < engine_->model().vocab_size()) continue;
        throw_error(ErrorCode::kCorrupt, "golden.json: {}: id {} is outside of the vocabulary of {}", what, id,
                    engine_->model().vocab_size());
      }
    };
    for (const GoldenSequence& sequence : sequences_) check(sequence.ids, sequence.name);
    for (const GoldenGreedy& greedy : greedy_) {
      check(greedy.prompt, "greedy");
      check(greedy.continuation, "greedy");
    }
  }

  // How many ids of the continuation come out before another one does.
  int64_t greedy_agrees(const GoldenGreedy& greedy) {
    Session session(*engine_, static_cast<int64_t>(greedy.prompt.size() + greedy.continuation.size()));
    Tensor logits = session.prefill(greedy.prompt);
    for (size_t i = 0; i < greedy.continuation.size(); ++i) {
      const float* row = logits.row<float>(0);
      int32_t id = static_cast<int32_t>(std::max_element(row, row + logits.cols()) - row);  // the lower of equals
      if (id != greedy.continuation[i] || !std::isfinite(row[id])) return static_cast<int64_t>(i);
      if (i + 1 < greedy.continuation.size()) logits = session.decode({&id, 1});
    }
    return static_cast<int64_t>(greedy.continuation.size());
  }

  void check_greedy() {
    if (greedy_.empty()) return;
    std::string problem;
    int64_t ids = 0, agreed = 0;
    for (size_t g = 0; g < greedy_.size(); ++g) {
      auto n = static_cast<int64_t>(greedy_[g].continuation.size());
      int64_t some = greedy_agrees(greedy_[g]);
      if (some < n && problem.empty()) problem = fmt::format("greedy {}: id {} of {} is another one", g, some, n);
      ids += n;
      agreed += some;
    }
    Json numbers = {{"ids", ids}, {"agreed", agreed}};
    if (options_.numerics != Numerics::kF32) return checks_.report("greedy", numbers);
    checks_.judge("greedy", problem, numbers);
    checks_.note(fmt::format("{} greedy ids", ids));
  }

  void check_pieces() {
    std::string problem;
    for (size_t s = 0; s < sequences_.size() && problem.empty(); ++s) {
      auto n = static_cast<int64_t>(sequences_[s].ids.size());
      std::vector<Cutting> cuttings = {cut_evenly(n, n), cut_growing(n)};
      for (int64_t piece : kPieces) cuttings.push_back(cut_evenly(n, piece));
      for (size_t c = 0; c < cuttings.size() && problem.empty(); ++c) {
        problem = pieces_differ(*engine_, sequences_[s], passes_[s], cuttings[c]);
      }
      if (problem.empty()) problem = drafter_differs(*engine_, sequences_[s], passes_[s]);
    }
    checks_.judge("pieces", problem);
  }

  void check_threads() {
    std::string problem;
    for (int threads : {1, 2}) {
      if (threads == engine_->threads()) continue;
      std::unique_ptr<Engine> other = open(threads);
      for (size_t s = 0; s < sequences_.size() && problem.empty(); ++s) {
        problem = engines_differ(*other, sequences_[s], passes_[s]);
      }
    }
    checks_.judge("threads", problem);
  }

  void check_drafts() {
    if (engine_->model().mtp_depth() == 0) {
      checks_.note("same bytes in pieces and on 1 and 2 threads");
      return;
    }
    std::string problem;
    int64_t drafted = 0;
    for (const GoldenGreedy& greedy : greedy_) {
      if (!problem.empty()) break;
      auto n = static_cast<int64_t>(greedy.continuation.size());
      problem = drafts_differ(*engine_, greedy.prompt, n, &drafted);
    }
    if (greedy_.empty()) problem = drafts_differ(*engine_, sequences_[0].ids, kReplyTokens, &drafted);
    checks_.judge("speculative", problem, {{"drafted", drafted}});
    checks_.note(fmt::format("same bytes in pieces, on 1 and 2 threads, and with {} drafts", drafted));
  }

  const Golden& golden_;
  const ConformOptions& options_;
  Checks& checks_;
  bool gguf_;
  std::vector<GoldenSequence> sequences_;
  std::vector<GoldenGreedy> greedy_;
  std::unique_ptr<Engine> engine_;
  std::vector<WholePass> passes_;
};

}  // namespace

void check_model(Golden& golden, const ConformOptions& options, Checks& checks) {
  Files files = look(golden.folder());
  if (!files.gguf && !(files.config && files.safetensors)) {
    return checks.skip("no checkpoint: neither config.json with safetensors nor a GGUF file");
  }
  std::string type = model_type(golden, files);
  std::string unsupported = fmt::format("generation not supported yet: {}", quoted_name(type));
  if (files.config && !known_generation(type)) return checks.skip(unsupported);
  try {
    golden.open_tensors();
    ModelCheck(golden, options, checks, files.gguf).run();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported || known_generation(type)) throw;
    checks.skip(unsupported);
  }
}

}  // namespace unha
