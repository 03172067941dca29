// SPDX-License-Identifier: Apache-2.0
#include "model/engram.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/causal_conv.h"
#include "ops/engram_gate.h"
#include "ops/linear.h"

namespace unha {

namespace {

constexpr int64_t kTokenGrain = 64;
constexpr double kTableStd = 0.02;

Init normal(double std) { return {Init::Kind::kNormal, std}; }
constexpr Init kOnes{Init::Kind::kOnes, 0};
constexpr Init kZeros{Init::Kind::kZeros, 0};

}  // namespace

Engram::Engram(ParamStore& params, const EngramConfig& config, int layer, int64_t rows)
    : config_(config), layer_(layer) {
  std::string prefix = fmt::format("model.layers.{}.engram.", layer);
  int64_t D = config.hidden_size, M = config.hc_mult, E = config.width();
  double matrix_std = 0.5 / std::sqrt(static_cast<double>(E));
  auto vector_of = [&](const std::string& name, Init init) -> const Weight* {
    return &params.add(prefix + name, {D}, ParamRole::kVector, init).weight;
  };
  auto matrix_of = [&](const std::string& name) -> const Weight* {
    return &params.add(prefix + name, {D, E}, ParamRole::kMatrix, normal(matrix_std)).weight;
  };
  multipliers_ = &params.add_constant(prefix + "hash.multipliers", {config.max_ngram_size}, DType::kI64);
  primes_ = &params.add_constant(prefix + "hash.primes", {config.orders(), config.n_head_per_ngram}, DType::kI64);
  table_ = &params.add(prefix + "multi_head_embedding.embedding.weight", {rows, config.row_width()}, ParamRole::kTable,
                       normal(kTableStd));
  wv_ = matrix_of("value_proj.weight");
  wv_bias_ = vector_of("value_proj.bias", kZeros);
  for (int64_t m = 0; m < M; ++m) {
    wk_.push_back(matrix_of(fmt::format("key_projs.{}.weight", m)));
    wk_bias_.push_back(vector_of(fmt::format("key_projs.{}.bias", m), kZeros));
    key_norm_.push_back(vector_of(fmt::format("norm1.{}.weight", m), kOnes));
    x_norm_.push_back(vector_of(fmt::format("norm2.{}.weight", m), kOnes));
    if (config.kernel_size == 0) continue;
    conv_norm_.push_back(vector_of(fmt::format("short_conv.norms.{}.weight", m), kOnes));
  }
  if (config.kernel_size == 0) return;
  conv_ =
      &params.add(prefix + "short_conv.conv.weight", {M * D, 1, config.kernel_size}, ParamRole::kVector, kZeros).weight;
}

void Engram::set_hash(const EngramLayerHash& hash) {
  UNHA_CHECK(hash.rows == table_->weight.rows(), "layer {}: a hash of {} rows for a table of {}", layer_, hash.rows,
             table_->weight.rows());
  hash_ = hash;
  std::ranges::copy(hash.multipliers, multipliers_->values<int64_t>().begin());
  std::ranges::copy(hash.primes, primes_->values<int64_t>().begin());
}

void Engram::load_hash(int64_t canonical_vocab, const std::string& what) {
  std::string name = fmt::format("{}: {}", what, multipliers_->name);
  hash_ = stored_hash(config_, canonical_vocab, multipliers_->values<int64_t>(), primes_->values<int64_t>(), name);
  if (hash_.rows != table_->weight.rows()) {
    throw_error(ErrorCode::kCorrupt, "{}: {} add up to {} rows, the table has {}", what, primes_->name, hash_.rows,
                table_->weight.rows());
  }
}

std::span<const int64_t> Engram::rows_of(Ctx& ctx, const Batch& batch, const EngramTokens& tokens) const {
  int64_t columns = config_.columns();
  auto* ids = ctx.arena.allocate<int64_t>(batch.tokens() * columns);
  for (size_t i = 0; i < batch.segments.size(); ++i) {
    const Segment& s = batch.segments[i];
    ctx.threads.parallel_for(s.len, kTokenGrain, [&](int64_t begin, int64_t end) {
      row_ids(hash_, tokens.pad, tokens.canonical[i], s.pos0 + begin, s.pos0 + end, ids + (s.begin + begin) * columns);
    });
  }
  ctx.observe("engram.rows", layer_, Tensor(ids, DType::kI64, batch.tokens(), columns));
  return {ids, static_cast<size_t>(batch.tokens() * columns)};
}

Tensor Engram::convolve(Ctx& ctx, Tensor u, const Batch& batch) const {
  std::span<const CacheRows> caches;
  if (!batch.caches.empty()) {
    auto* rows = ctx.arena.allocate<CacheRows>(static_cast<int64_t>(batch.caches.size()));
    for (size_t i = 0; i < batch.caches.size(); ++i) rows[i] = batch.caches[i]->conv(conv_index_);
    caches = {rows, batch.caches.size()};
  }
  return ops::causal_conv(ctx, u, conv_norm_, *conv_, config_.max_ngram_size, batch.segments, caches);
}

Tensor Engram::forward(Ctx& ctx, Tensor x, const Batch& batch, const EngramTokens& tokens) {
  UNHA_CHECK(hash_.rows > 0, "layer {}: Engram without its hash", layer_);
  UNHA_CHECK(x.rows() == batch.tokens() && x.cols() == config_.hc_mult * config_.hidden_size,
             "engram: x [{}, {}] for {} tokens", x.rows(), x.cols(), batch.tokens());
  auto ids = rows_of(ctx, batch, tokens);  // [N, columns]
  TableRows table(table_->weight);
  Tensor e = ops::leaf_rows(ctx, table, ids, config_.columns(), &table_grad_);  // [N, E]
  Tensor value = ops::linear(ctx, e, *wv_, wv_bias_);                           // [N, D]
  std::array<Tensor, ops::kMaxStreams> keys;                                    // M of [N, D]
  for (size_t m = 0; m < wk_.size(); ++m) keys[m] = ops::linear(ctx, e, *wk_[m], wk_bias_[m]);
  ops::EngramGateConfig gate;
  gate.signed_sqrt = config_.gate == EngramConfig::Gate::kSignedSqrt;
  gate.layer = layer_;
  Tensor u = ops::engram_gate(ctx, x, std::span(keys).first(wk_.size()), value, x_norm_, key_norm_, gate);
  Tensor y = conv_ == nullptr ? u : convolve(ctx, u, batch);  // [N, M*D]
  ctx.observe("engram.output", layer_, y);
  return y;
}

EngramMemory::EngramMemory(ParamStore& params, const EngramConfig& config, int64_t vocab_size)
    : config_(config), vocab_size_(vocab_size) {
  if (config.pad_id >= vocab_size) {
    throw_error(ErrorCode::kInvalidArgument, "engram: \"pad_id\" {} is not below vocab_size {}", config.pad_id,
                vocab_size);
  }
  canonical_ids_ = &params.add_constant("model.engram.canonical_ids", {vocab_size}, DType::kI32);
  // Shapes need the primes, which depend on the config alone; the multipliers of this call are not used.
  std::vector<EngramLayerHash> hashes = derive_hashes(config, 1);
  for (size_t i = 0; i < hashes.size(); ++i) {
    layers_.push_back(std::make_unique<Engram>(params, config, static_cast<int>(config.layer_ids[i]), hashes[i].rows));
  }
  std::ranges::sort(layers_, {}, [](const auto& engram) { return engram->layer(); });
  for (size_t i = 0; config.kernel_size > 0 && i < layers_.size(); ++i) {
    layers_[i]->conv_index_ = static_cast<int64_t>(i);
  }
}

void EngramMemory::create(std::span<const int32_t> canonical_ids) {
  auto known = static_cast<int64_t>(canonical_ids.size());
  UNHA_CHECK(known >= 1 && known <= vocab_size_, "{} canonical ids for a vocabulary of {}", known, vocab_size_);
  auto map = canonical_ids_->values<int32_t>();
  std::ranges::copy(canonical_ids, map.begin());
  int32_t next = *std::ranges::max_element(canonical_ids) + 1;
  for (size_t raw = canonical_ids.size(); raw < map.size(); ++raw) map[raw] = next++;
  canonical_vocab_ = next;
  std::vector<EngramLayerHash> hashes = derive_hashes(config_, canonical_vocab_);
  for (size_t i = 0; i < hashes.size(); ++i) at(config_.layer_ids[i])->set_hash(hashes[i]);
}

void EngramMemory::loaded(const std::string& what) {
  auto map = canonical_ids_->values<int32_t>();
  int32_t largest = 0;
  for (size_t raw = 0; raw < map.size(); ++raw) {
    if (map[raw] < 0 || map[raw] >= vocab_size_) {
      throw_error(ErrorCode::kCorrupt, "{}: {}: id {} folds to {}, expected 0 to {}", what, canonical_ids_->name, raw,
                  map[raw], vocab_size_ - 1);
    }
    largest = std::max(largest, map[raw]);
  }
  canonical_vocab_ = largest + 1;
  for (auto& engram : layers_) engram->load_hash(canonical_vocab_, what);
}

EngramTokens EngramMemory::fold(Ctx& ctx, const Batch& batch) const {
  UNHA_CHECK(canonical_vocab_ > 0, "Engram's memory was neither created nor loaded");
  auto map = canonical_ids_->values<int32_t>();
  auto* own = batch.caches.empty() ? ctx.arena.allocate<int32_t>(batch.tokens()) : nullptr;
  auto* starts = ctx.arena.allocate<const int32_t*>(static_cast<int64_t>(batch.segments.size()));
  for (size_t i = 0; i < batch.segments.size(); ++i) {
    const Segment& s = batch.segments[i];
    int32_t* sequence = own != nullptr ? own + s.begin : batch.caches[i]->canonical();
    UNHA_CHECK(own == nullptr || s.pos0 == 0, "engram: position {} without a cache", s.pos0);
    for (int64_t k = 0; k < s.len; ++k) {
      int32_t raw = batch.ids[static_cast<size_t>(s.begin + k)];
      UNHA_CHECK(raw >= 0 && raw < vocab_size_, "engram: token id {} of {}", raw, vocab_size_);
      sequence[s.pos0 + k] = map[static_cast<size_t>(raw)];
    }
    starts[i] = sequence;
  }
  return {{starts, batch.segments.size()}, map[static_cast<size_t>(config_.pad_id)]};
}

Engram* EngramMemory::at(int64_t layer) {
  for (auto& engram : layers_) {
    if (engram->layer() == layer) return engram.get();
  }
  return nullptr;
}

std::vector<int64_t> EngramMemory::conv_widths() const {
  if (config_.kernel_size == 0) return {};
  return std::vector<int64_t>(layers_.size(), config_.hc_mult * config_.hidden_size);
}

}  // namespace unha
