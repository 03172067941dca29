// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/engram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "io/file.h"
#include "model/engram.h"
#include "text/canonical_ids.h"

namespace unha {

namespace {

struct Bounds {
  double values, gradients;  // of the largest entry of a tensor, and of 1
};
constexpr Bounds kDouble{1e-11, 1e-10}, kFloat{4e-6, 1e-4};

// Finds "engram.gate" and "engram.rows" as they are made.
class Watch : public Observer {
 public:
  std::vector<double> gates;
  std::vector<int64_t> rows;
  void observe(const char* name, int, const Tensor& value) override {
    for (int64_t r = 0; r < value.rows(); ++r) {
      for (int64_t c = 0; c < value.cols(); ++c) {
        if (std::string_view(name) == "engram.rows") rows.push_back(value.row<int64_t>(r)[c]);
        if (std::string_view(name) != "engram.gate") continue;
        gates.push_back(value.dtype() == DType::kF64 ? value.row<double>(r)[c]
                                                     : static_cast<double>(value.row<float>(r)[c]));
      }
    }
  }
};

class EngramCheck {
 public:
  EngramCheck(const Golden& golden, const ConformOptions& options, Checks& checks)
      : golden_(golden),
        options_(options),
        checks_(checks),
        config_(parse_engram_config(parse_json(read_file(golden.path("engram_config.json")), "engram_config.json"),
                                    "engram_config.json")),
        model_(SafetensorsFile::open(golden.path("model.safetensors"))),
        canonical_(make_canonical_ids(Tokenizer::load(golden.path("tokenizer.json")))),
        sequences_(golden.sequences()) {
    auto vocab = static_cast<int32_t>(canonical_.map.size());
    for (const GoldenSequence& sequence : sequences_) {
      segments_.push_back({static_cast<int64_t>(ids_.size()), static_cast<int64_t>(sequence.ids.size()), 0});
      ids_.insert(ids_.end(), sequence.ids.begin(), sequence.ids.end());
    }
    if (*std::max_element(ids_.begin(), ids_.end()) >= vocab) {
      throw_error(ErrorCode::kCorrupt, "golden.json: an id is outside of the tokenizer's {}", vocab);
    }
  }

  void addresses();
  // All variants that are stored, on all layers.
  template <class R>
  void variants(Numerics numerics, const Bounds& bounds, const std::string& prefix);

 private:
  template <class R>
  void variant(const std::string& name, Numerics numerics, const Bounds& bounds, int64_t layer);
  template <class R>
  void load(ParamStore& params) const;
  template <class R>
  void compare_gradients(const std::string& name, const ParamStore& params, Engram& engram, double bound);

  // Counts the differences and says what is too far off.
  template <class R>
  void expect_close(const R* found, size_t n, const std::vector<double>& expected, double bound,
                    const std::string& what);
  template <class T>
  void expect_equal(const std::vector<T>& found, const std::vector<T>& expected, const std::string& what) {
    if (problem_.empty() && found != expected) problem_ = what + " is another one";
    ++compared_;
  }
  // A golden of each sequence, one after the other.
  template <class T>
  std::vector<T> joined(const std::string& before, const std::string& after) const {
    std::vector<T> all;
    for (const GoldenSequence& sequence : sequences_) {
      auto part = golden_values_as<T>(golden_.need(before + sequence.name + after));
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
  void judge(const std::string& check, const Difference& difference) {
    checks_.judge(check, problem_.empty() ? "" : check + ": " + problem_,
                  {{"compared", compared_}, {"max_abs", json_number(difference.max_abs)}});
    problem_.clear();
    compared_ = 0;
  }

  const Golden& golden_;
  const ConformOptions& options_;
  Checks& checks_;
  EngramConfig config_;
  SafetensorsFile model_;
  CanonicalIds canonical_;
  std::vector<GoldenSequence> sequences_;
  std::vector<Segment> segments_;
  std::vector<int32_t> ids_;  // of all sequences
  std::string problem_;       // the first of the check under way
  int64_t compared_ = 0;
  Difference outputs_;
};

template <class R>
void EngramCheck::expect_close(const R* found, size_t n, const std::vector<double>& expected, double bound,
                               const std::string& what) {
  ++compared_;
  if (n != expected.size()) {
    if (problem_.empty()) problem_ = fmt::format("{} has {} numbers, {} are stored", what, n, expected.size());
    return;
  }
  Difference difference;
  double largest = 1;
  for (size_t i = 0; i < n; ++i) {
    auto value = static_cast<double>(found[i]);
    difference.add(value, expected[i]);
    if (what.ends_with("output")) outputs_.add(value, expected[i]);
    largest = std::max(largest, std::fabs(expected[i]));
  }
  if (problem_.empty() && !(difference.max_abs <= bound * largest)) {
    problem_ = fmt::format("{} differs by {:.2g}, allowed {:.2g}", what, difference.max_abs, bound * largest);
  }
}

void EngramCheck::addresses() {
  auto map = golden_values_as<int32_t>(golden_.need("compressed_map"));
  expect_equal(canonical_.map, map, "compressed_map");
  int32_t pad = config_.pad_id < static_cast<int64_t>(canonical_.map.size())
                    ? canonical_.map[static_cast<size_t>(config_.pad_id)]
                    : 0;
  std::vector<EngramLayerHash> hashes = derive_hashes(config_, canonical_.count);
  for (size_t i = 0; i < hashes.size(); ++i) {
    std::string layer = fmt::format("layer.{}.", config_.layer_ids[i]);
    auto stored = [&](const char* name) { return golden_values_as<int64_t>(golden_.need(layer + name)); };
    expect_equal(hashes[i].multipliers, stored("multipliers"), layer + "multipliers");
    expect_equal(hashes[i].primes, stored("primes"), layer + "primes");
    expect_equal(hashes[i].offsets, stored("offsets"), layer + "offsets");
    for (const GoldenSequence& sequence : sequences_) {
      std::vector<int32_t> folded;
      for (int32_t raw : sequence.ids) folded.push_back(canonical_.map[static_cast<size_t>(raw)]);
      auto T = static_cast<int64_t>(folded.size());
      std::vector<int64_t> mixes(static_cast<size_t>(T * config_.orders())), by_order;
      ngram_mixes(hashes[i], pad, folded.data(), 0, T, mixes.data());
      for (int64_t order = 0; order < config_.orders(); ++order) {
        for (int64_t t = 0; t < T; ++t) by_order.push_back(mixes[static_cast<size_t>(t * config_.orders() + order)]);
      }
      std::string name = sequence.name + "." + layer + "mix";
      expect_equal(by_order, golden_values_as<int64_t>(golden_.need(name)), name);
    }
  }
  judge("addresses", {});
}

template <class R>
void EngramCheck::load(ParamStore& params) const {
  for (Param* param : params.by_name()) {
    std::string name = param->name.substr(std::strlen("model."));
    const TensorInfo* info = model_.find(name);
    if (info == nullptr || info->shape != param->shape) {
      throw_error(ErrorCode::kCorrupt, "model.safetensors: expected {} of shape {}, found {}", quoted_name(name),
                  shape_text(param->shape), info == nullptr ? "none" : shape_text(info->shape));
    }
    std::vector<float> values = golden_values_as<float>(*info);
    std::copy(values.begin(), values.end(), param->weight.value.template data<R>());
  }
}

template <class R>
void EngramCheck::compare_gradients(const std::string& name, const ParamStore& params, Engram& engram, double bound) {
  std::string prefix = fmt::format("model.layers.{}.engram.", engram.layer());
  for (const Param* param : params.by_name()) {
    if (!param->name.starts_with(prefix)) continue;
    std::string stored = fmt::format("{}.grad.layer.{}.{}", name, engram.layer(), param->name.substr(prefix.size()));
    auto expected = golden_values_as<double>(golden_.need(stored));
    auto n = static_cast<size_t>(param->size());
    if (param->role != ParamRole::kTable) {
      expect_close(param->weight.grad.template data<R>(), n, expected, bound, stored);
      continue;
    }
    std::vector<R> dense(n);
    const SparseGrad& sparse = engram.table_grad();
    int64_t D = param->weight.cols();
    for (size_t i = 0; i < sparse.rows().size(); ++i) {
      const R* row = sparse.values().template row<R>(static_cast<int64_t>(i));
      std::copy(row, row + D, dense.begin() + sparse.rows()[i] * D);
    }
    expect_close(dense.data(), n, expected, bound, stored);
  }
}

template <class R>
void EngramCheck::variant(const std::string& name, Numerics numerics, const Bounds& bounds, int64_t layer) {
  EngramConfig config = config_;
  if (name == "paper") config.gate = EngramConfig::Gate::kPlain;
  if (name == "noconv") config.kernel_size = 0;
  ParamStore params;
  EngramMemory memory(params, config, static_cast<int64_t>(canonical_.map.size()));
  memory.create(canonical_.map);
  params.allocate(numerics, true);
  load<R>(params);

  std::string at = fmt::format(".layer.{}.", layer);
  auto hidden = joined<float>("", at + "hidden"), upstream = joined<float>("", at + "upstream");
  auto N = static_cast<int64_t>(ids_.size());
  int64_t width = config.hc_mult * config.hidden_size;
  if (static_cast<int64_t>(hidden.size()) != N * width || upstream.size() != hidden.size()) {
    throw_error(ErrorCode::kCorrupt, "layer {}: {} numbers of hidden and {} of upstream, expected {} rows of {}", layer,
                hidden.size(), upstream.size(), N, width);
  }
  std::vector<R> x(hidden.begin(), hidden.end());

  Arena arena;
  Threads threads(options_.threads);
  Tape tape;
  Watch watch;
  Ctx ctx = make_ctx(arena, threads, numerics, options_.isa);
  ctx.tape = &tape;
  ctx.observer = &watch;
  Batch batch{ids_, segments_, {}};
  EngramTokens tokens = memory.fold(ctx, batch);
  Tensor in = tape.track(Tensor(x.data(), ctx.real(), N, width));
  std::string before = name + ".";
  tape.record("read", [&] {
    expect_close(tape.grad(in).template data<R>(), x.size(), joined<double>(before, at + "grad.hidden"),
                 bounds.gradients, name + at + "grad.hidden");
  });
  Engram& engram = *memory.at(layer);
  Tensor y = engram.forward(ctx, in, batch, tokens);
  tape.record("seed", [&] {
    R* d_y = tape.grad(y).template data<R>();
    for (int64_t i = 0; i < y.size(); ++i) d_y[i] = static_cast<R>(upstream[static_cast<size_t>(i)]);
  });
  expect_close(y.data<R>(), static_cast<size_t>(y.size()), joined<double>(before, at + "output"), bounds.values,
               name + at + "output");
  expect_equal(watch.rows, joined<int64_t>("", at + "rows"), name + at + "rows");
  // Without the convolution the gate is that of the module as demonstrated, and not stored again.
  std::string gate = name == "noconv" ? "code." : before;
  expect_close(watch.gates.data(), watch.gates.size(), joined<double>(gate, at + "gate"), bounds.values,
               name + at + "gate");
  tape.backward();
  compare_gradients<R>(name, params, engram, bounds.gradients);
}

template <class R>
void EngramCheck::variants(Numerics numerics, const Bounds& bounds, const std::string& prefix) {
  Difference all;
  for (const char* name : {"code", "paper", "noconv"}) {
    outputs_ = {};
    bool stored = false;
    for (int64_t layer : config_.layer_ids) {
      std::string output = fmt::format("{}.{}.layer.{}.output", name, sequences_.front().name, layer);
      if (golden_.find(output) == nullptr) continue;
      stored = true;
      variant<R>(name, numerics, bounds, layer);
    }
    if (stored) judge(prefix + name, outputs_);
    all.add(outputs_);
  }
  if (all.values == 0) checks_.judge(prefix + "variants", "the golden stores the output of no variant");
  checks_.compared(all);
}

}  // namespace

void check_engram(Golden& golden, const ConformOptions& options, Checks& checks) {
  golden.open_tensors();
  EngramCheck check(golden, options, checks);
  check.addresses();
  check.variants<double>(Numerics::kF64, kDouble, "f64.");
  check.variants<float>(Numerics::kF32, kFloat, "f32.");
  checks.note("addresses, outputs, gates and gradients, in double and in float");
}

}  // namespace unha
