// SPDX-License-Identifier: Apache-2.0
// The whole Engram module: equal bytes for any chunks, threads and tiers, packed or alone, with or without a cache; and
// the constants that a stored model must bring.
#include "model/engram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/rng.h"

namespace unha {
namespace {

EngramConfig small(int64_t streams, int64_t taps) {
  EngramConfig c;
  c.engram_vocab_size = {61, 61};
  c.max_ngram_size = 3;
  c.n_embed_per_ngram = 16;
  c.n_head_per_ngram = 4;
  c.layer_ids = {3, 1};
  c.kernel_size = taps;
  c.hidden_size = 20;
  c.hc_mult = streams;
  c.pad_id = 2;
  return c;
}

constexpr int64_t kVocab = 50;

// Folds pairs of neighbours.
std::vector<int32_t> folding() {
  std::vector<int32_t> map;
  for (int32_t raw = 0; raw < kVocab - 10; ++raw) map.push_back(raw / 2);
  return map;
}

template <class R>
void put(Param& param, const std::vector<float>& values) {
  for (size_t i = 0; i < values.size(); ++i) param.weight.value.template data<R>()[i] = static_cast<R>(values[i]);
}

struct Module {
  ParamStore params;
  EngramMemory memory;
  Numerics numerics;

  Module(const EngramConfig& config, Numerics n) : memory(params, config, kVocab), numerics(n) {
    memory.create(folding());
    params.allocate(n, true);
    for (Param* param : params.by_name()) {
      std::vector<float> values(static_cast<size_t>(param->size()));
      ParamStore::initial_values(*param, 5, values.data());
      Rng rng(6, Purpose::kTest, static_cast<uint64_t>(param->size()));
      for (size_t i = 0; i < values.size(); ++i) values[i] += static_cast<float>(0.2 * rng.normal_at(i));
      if (param->weight.value.dtype() == DType::kBF16) {
        for (size_t i = 0; i < values.size(); ++i) param->weight.value.data<uint16_t>()[i] = f32_to_bf16(values[i]);
      } else {
        put<float>(*param, values);
      }
    }
  }
};

std::vector<int32_t> token_ids(int64_t n) {
  Rng rng(8, Purpose::kTest, 0);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (auto& id : ids) id = static_cast<int32_t>(rng.below(kVocab));
  return ids;
}
std::vector<float> streams_of(int64_t n, int64_t width) {
  Rng rng(9, Purpose::kTest, 0);
  std::vector<float> x(static_cast<size_t>(n * width));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(rng.normal_at(i));
  return x;
}

using Bytes = std::vector<uint32_t>;

void append(Bytes& out, const Tensor& t) {
  for (int64_t r = 0; r < t.rows(); ++r) {
    for (int64_t c = 0; c < t.cols(); ++c) out.push_back(std::bit_cast<uint32_t>(t.row<float>(r)[c]));
  }
}

// Output of layer 3 for `ids` from position `pos0` on, with a cache or without.
Bytes forward(Module& module, int threads_n, Isa isa, std::span<const int32_t> ids, std::vector<float> x, int64_t pos0,
              SequenceCache* cache) {
  Arena arena;
  Threads threads(threads_n);
  Ctx ctx = make_ctx(arena, threads, module.numerics, isa);
  auto N = static_cast<int64_t>(ids.size());
  Segment segment{0, N, pos0};
  Batch batch{ids, {&segment, 1}, {}};
  if (cache != nullptr) batch.caches = {&cache, 1};
  auto tokens = module.memory.fold(ctx, batch);
  Tensor in(x.data(), DType::kF32, N, static_cast<int64_t>(x.size()) / N);
  Bytes out;
  append(out, module.memory.at(3)->forward(ctx, in, batch, tokens));
  return out;
}

CacheLayout layout(const Module& module) { return {{}, module.memory.conv_widths()}; }

TEST(Engram, EverySplitOfASequenceGivesTheBytesOfTheWhole) {
  constexpr int64_t N = 24;
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    for (int64_t taps : {0, 4}) {
      Module module(small(2, taps), numerics);
      int64_t width = 40;
      auto ids = token_ids(N);
      auto x = streams_of(N, width);
      Bytes whole = forward(module, 1, Isa::kScalar, ids, x, 0, nullptr);
      for (int64_t split = 0; split <= N; ++split) {
        SequenceCache cache(layout(module), numerics == Numerics::kF32 ? DType::kF32 : DType::kBF16, N);
        Bytes parts;
        for (auto [begin, end] : {std::pair{int64_t{0}, split}, std::pair{split, N}}) {
          if (begin == end) continue;
          std::vector<float> part(x.begin() + begin * width, x.begin() + end * width);
          Bytes y = forward(module, 2, best_isa(),
                            std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), part,
                            begin, &cache);
          parts.insert(parts.end(), y.begin(), y.end());
        }
        ASSERT_TRUE(parts == whole) << numerics_name(numerics) << " split at " << split;
      }
      // Token by token, with a rejected draft at every place.
      SequenceCache cache(layout(module), numerics == Numerics::kF32 ? DType::kF32 : DType::kBF16, N);
      Bytes steps;
      for (int64_t t = 0; t < N; ++t) {
        std::vector<float> row(x.begin() + t * width, x.begin() + (t + 1) * width);
        int32_t draft = 7;
        forward(module, 1, best_isa(), {&draft, 1}, std::vector<float>(static_cast<size_t>(width), 3.0f), t, &cache);
        Bytes y = forward(module, 1, best_isa(), std::span(ids).subspan(static_cast<size_t>(t), 1), row, t, &cache);
        steps.insert(steps.end(), y.begin(), y.end());
      }
      ASSERT_TRUE(steps == whole) << numerics_name(numerics);
    }
  }
}

// Output and all gradients of a training pass over packed documents.
Bytes train(Module& module, int threads_n, Isa isa, const std::vector<int64_t>& lengths) {
  int64_t N = 0, width = module.memory.config().hidden_size * module.memory.config().hc_mult;
  std::vector<Segment> segments;
  for (int64_t len : lengths) {
    segments.push_back({N, len, 0});
    N += len;
  }
  auto ids = token_ids(N);
  auto x = streams_of(N, width);
  Arena arena;
  Threads threads(threads_n);
  Tape tape;
  Ctx ctx = make_ctx(arena, threads, module.numerics, isa);
  ctx.tape = &tape;
  std::memset(module.params.grads(), 0, static_cast<size_t>(module.params.grad_elements() * 4));
  Batch batch{ids, segments, {}};
  auto tokens = module.memory.fold(ctx, batch);
  Tensor in = tape.track(Tensor(x.data(), DType::kF32, N, width));
  Bytes out;
  tape.record("read", [&] { append(out, tape.grad(in)); });
  Engram& engram = *module.memory.at(3);
  engram.table_grad().clear();
  Tensor y = engram.forward(ctx, in, batch, tokens);
  append(out, y);
  tape.record("seed", [&] {
    for (int64_t i = 0; i < y.size(); ++i) tape.grad(y).data<float>()[i] = x[static_cast<size_t>((i * 7) % y.size())];
  });
  tape.backward();
  for (int64_t row : engram.table_grad().rows()) out.push_back(static_cast<uint32_t>(row));
  append(out, engram.table_grad().values());
  append(out, Tensor(module.params.grads(), DType::kF32, 1, module.params.grad_elements()));
  return out;
}

TEST(Engram, TrainingGivesTheSameBytesOnEveryTierAndThreadCount) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    Module module(small(2, 4), numerics);
    Bytes expected = train(module, 1, Isa::kScalar, {40, 1, 59});
    for (Isa isa : available_isas()) {
      if (isa == Isa::kAmx) continue;
      EXPECT_TRUE(train(module, 1, isa, {40, 1, 59}) == expected) << isa_name(isa);
    }
    for (int n : {2, 3}) EXPECT_TRUE(train(module, n, best_isa(), {40, 1, 59}) == expected) << n << " threads";
  }
}

TEST(Engram, PackedDocumentsDoNotSeeEachOther) {
  constexpr int64_t N = 17, width = 40;
  Module module(small(2, 4), Numerics::kF32);
  auto ids = token_ids(2 * N);
  auto x = streams_of(2 * N, width);
  Arena arena;
  Threads threads(1);
  Ctx ctx = make_ctx(arena, threads, Numerics::kF32, best_isa());
  std::vector<Segment> segments = {{0, N, 0}, {N, N, 0}};
  Batch batch{ids, segments, {}};
  Tensor in(x.data(), DType::kF32, 2 * N, width);
  Tensor y = module.memory.at(3)->forward(ctx, in, batch, module.memory.fold(ctx, batch));
  Bytes packed;
  append(packed, y.slice_rows(N, N));
  std::vector<float> second(x.begin() + N * width, x.end());
  EXPECT_TRUE(forward(module, 1, best_isa(), std::span(ids).subspan(N), second, 0, nullptr) == packed);
}

TEST(Engram, NothingLooksAhead) {
  constexpr int64_t N = 17, width = 20;
  Module module(small(1, 4), Numerics::kF32);
  auto ids = token_ids(N);
  auto x = streams_of(N, width);
  Bytes before = forward(module, 1, best_isa(), ids, x, 0, nullptr);
  for (int64_t t = 1; t < N; ++t) {
    auto other_ids = ids;
    auto other_x = x;
    for (int64_t i = t; i < N; ++i) other_ids[static_cast<size_t>(i)] = (ids[static_cast<size_t>(i)] + 9) % kVocab;
    for (int64_t i = t * width; i < N * width; ++i) other_x[static_cast<size_t>(i)] += 1;
    Bytes after = forward(module, 1, best_isa(), other_ids, other_x, 0, nullptr);
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + t * width, after.begin())) << t;
    EXPECT_FALSE(std::equal(before.begin(), before.end(), after.begin())) << t;
  }
}

TEST(Engram, ZeroValueProjectionGivesZero) {
  Module module(small(1, 4), Numerics::kF32);
  for (const char* name : {"value_proj.weight", "value_proj.bias"}) {
    Param* param = module.params.find(std::string("model.layers.3.engram.") + name);
    std::fill_n(param->weight.value.data<float>(), param->size(), 0.0f);
  }
  for (uint32_t bits : forward(module, 1, best_isa(), token_ids(9), streams_of(9, 20), 0, nullptr)) {
    EXPECT_EQ(bits << 1, 0u);
  }
}

TEST(EngramMemory, ReadsBackWhatItStored) {
  Module made(small(1, 4), Numerics::kF32);
  ParamStore params;
  EngramMemory read(params, small(1, 4), kVocab);
  auto copy = [&] {
    auto from = made.params.constants().begin();
    for (const Constant& to : params.constants()) const_cast<Constant&>(to).bytes = (from++)->bytes;
  };
  copy();
  read.loaded("m");
  EXPECT_EQ(read.canonical_vocab(), made.memory.canonical_vocab());
  for (int64_t layer : {1, 3}) EXPECT_EQ(read.at(layer)->hash(), made.memory.at(layer)->hash());
  EXPECT_EQ(read.at(2), nullptr);

  auto refused = [&](const char* name, int64_t at, int64_t value) {
    copy();
    auto found = std::ranges::find(params.constants(), name, &Constant::name);
    ASSERT_NE(found, params.constants().end()) << name;
    auto* constant = const_cast<Constant*>(&*found);
    if (constant->dtype == DType::kI32) {
      constant->values<int32_t>()[static_cast<size_t>(at)] = static_cast<int32_t>(value);
    } else {
      constant->values<int64_t>()[static_cast<size_t>(at)] = value;
    }
    try {
      read.loaded("m");
      ADD_FAILURE() << name << " = " << value << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    }
  };
  refused("model.engram.canonical_ids", 4, kVocab);
  refused("model.engram.canonical_ids", 4, -1);
  refused("model.layers.1.engram.hash.multipliers", 0, 0);
  refused("model.layers.1.engram.hash.primes", 7, 0);
  refused("model.layers.3.engram.hash.primes", 0, 1009);
}

TEST(EngramMemory, RawIdsBeyondTheTokenizerKeepToThemselves) {
  Module module(small(1, 0), Numerics::kF32);
  EXPECT_EQ(module.memory.canonical_vocab(), 20 + 10);
  EXPECT_TRUE(module.memory.conv_widths().empty());
  EXPECT_EQ(module.params.find("model.layers.1.engram.short_conv.conv.weight"), nullptr);
}

}  // namespace
}  // namespace unha
