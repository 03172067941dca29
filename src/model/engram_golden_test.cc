// SPDX-License-Identifier: Apache-2.0
// The module of the paper's demonstration against goldens in double: addresses, outputs, gates and every gradient, in
// its three variants, from its own tokenizer on.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "io/file.h"
#include "io/safetensors.h"
#include "model/engram.h"
#include "text/canonical_ids.h"
#include "text/test_shared.h"

namespace unha {
namespace {

template <class T>
std::vector<T> stored(const TensorInfo& info) {
  UNHA_CHECK(info.dtype == DTypeOf<T>::kValue, "{} is {}", info.name, dtype_name(info.dtype));
  std::vector<T> values(static_cast<size_t>(info.elements()));
  std::memcpy(values.data(), info.data, static_cast<size_t>(info.bytes));
  return values;
}

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

// "code", "paper", "noconv".
EngramConfig variant_of(EngramConfig config, const std::string& variant) {
  if (variant == "paper") config.gate = EngramConfig::Gate::kPlain;
  if (variant == "noconv") config.kernel_size = 0;
  return config;
}

class EngramGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto dir = shared_folder() / "goldens" / GetParam();
    if (!std::filesystem::exists(dir)) GTEST_SKIP() << dir << " is not there";
    golden_json_ = parse_json(read_file((dir / "golden.json").string()), "golden.json");
    config_ = parse_engram_config(parse_json(read_file((dir / "engram_config.json").string()), "engram_config.json"),
                                  "engram_config.json");
    golden_ = std::make_unique<SafetensorsFile>(SafetensorsFile::open((dir / "golden.safetensors").string()));
    model_ = std::make_unique<SafetensorsFile>(SafetensorsFile::open((dir / "model.safetensors").string()));
    canonical_ = make_canonical_ids(Tokenizer::load(dir / "tokenizer.json"));
    for (const Json& sequence : golden_json_["sequences"]) {
      sequences_.push_back(sequence["input_ids"].get<std::vector<int32_t>>());
      names_.push_back(sequence["name"].get<std::string>());
    }
  }
  static std::string read_file(const std::string& path) {
    MappedFile file = MappedFile::open(path);
    return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  }

  template <class T>
  std::vector<T> golden(const std::string& name) const {
    const TensorInfo* info = golden_->find(name);
    UNHA_CHECK(info != nullptr, "golden {} is missing", name);
    return stored<T>(*info);
  }
  // A golden of each sequence, one after the other.
  template <class T>
  std::vector<T> joined(const std::string& before, const std::string& after) const {
    std::vector<T> all;
    for (const std::string& name : names_) {
      auto part = golden<T>(before + name + after);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  template <class R>
  void check(const std::string& variant, Numerics numerics, int64_t layer, double of_values, double of_gradients);

  Json golden_json_;
  EngramConfig config_;
  std::unique_ptr<SafetensorsFile> golden_, model_;
  CanonicalIds canonical_;
  std::vector<std::vector<int32_t>> sequences_;
  std::vector<std::string> names_;
};

// Within `tolerance` of the largest entry, and of 1.
template <class R, class T>
void expect_close(const R* found, const std::vector<T>& expected, double tolerance, const std::string& what) {
  double worst = 0, largest = 1;
  for (size_t i = 0; i < expected.size(); ++i) {
    auto wanted = static_cast<double>(expected[i]);
    worst = std::max(worst, std::fabs(static_cast<double>(found[i]) - wanted));
    largest = std::max(largest, std::fabs(wanted));
  }
  EXPECT_LE(worst, tolerance * largest) << what;
}

template <class R>
void EngramGolden::check(const std::string& variant, Numerics numerics, int64_t layer, double of_values,
                         double of_gradients) {
  SCOPED_TRACE(variant + " layer " + std::to_string(layer));
  ParamStore params;
  EngramMemory memory(params, variant_of(config_, variant), static_cast<int64_t>(canonical_.map.size()));
  memory.create(canonical_.map);
  params.allocate(numerics, true);
  std::string prefix = fmt::format("model.layers.{}.engram.", layer);
  for (Param* param : params.by_name()) {
    const TensorInfo* info = model_->find(param->name.substr(std::strlen("model.")));
    ASSERT_NE(info, nullptr) << param->name;
    ASSERT_EQ(info->shape, param->shape) << param->name;
    auto values = stored<float>(*info);
    std::copy(values.begin(), values.end(), param->weight.value.template data<R>());
  }

  std::vector<int32_t> ids;
  std::vector<Segment> segments;
  for (const auto& sequence : sequences_) {
    segments.push_back({static_cast<int64_t>(ids.size()), static_cast<int64_t>(sequence.size()), 0});
    ids.insert(ids.end(), sequence.begin(), sequence.end());
  }
  std::string at = fmt::format(".layer.{}.", layer);
  auto hidden = joined<float>("", at + "hidden");
  auto upstream = joined<float>("", at + "upstream");
  std::vector<R> x(hidden.begin(), hidden.end());
  auto N = static_cast<int64_t>(ids.size());

  Arena arena;
  Threads threads(2);
  Tape tape;
  Watch watch;
  Ctx ctx = make_ctx(arena, threads, numerics, best_isa());
  ctx.tape = &tape;
  ctx.observer = &watch;
  Batch batch{ids, segments, {}};
  auto tokens = memory.fold(ctx, batch);
  Tensor in = tape.track(Tensor(x.data(), ctx.real(), N, static_cast<int64_t>(x.size()) / N));
  tape.record("read", [&] {
    expect_close(tape.grad(in).template data<R>(), joined<double>(variant + ".", at + "grad.hidden"), of_gradients,
                 "grad.hidden");
  });
  Engram& engram = *memory.at(layer);
  Tensor y = engram.forward(ctx, in, batch, tokens);
  tape.record("seed", [&] {
    for (int64_t i = 0; i < y.size(); ++i) {
      tape.grad(y).template data<R>()[i] = static_cast<R>(upstream[static_cast<size_t>(i)]);
    }
  });
  expect_close(y.data<R>(), joined<double>(variant + ".", at + "output"), of_values, "output");
  EXPECT_EQ(watch.rows, joined<int64_t>("", at + "rows"));
  expect_close(watch.gates.data(),
               joined<double>((variant == "paper" ? "paper" : "code") + std::string("."), at + "gate"), of_values,
               "gate");
  tape.backward();

  std::string gradients = fmt::format("{}.grad.layer.{}.", variant, layer);
  for (Param* param : params.by_name()) {
    if (!param->name.starts_with(prefix)) continue;
    auto expected = golden<double>(gradients + param->name.substr(prefix.size()));
    if (param->role != ParamRole::kTable) {
      expect_close(param->weight.grad.template data<R>(), expected, of_gradients, param->name);
      continue;
    }
    std::vector<R> dense(expected.size());
    const SparseGrad& sparse = engram.table_grad();
    int64_t D = param->weight.cols();
    for (size_t i = 0; i < sparse.rows().size(); ++i) {
      const R* row = sparse.values().template row<R>(static_cast<int64_t>(i));
      std::copy(row, row + D, dense.begin() + sparse.rows()[i] * D);
    }
    expect_close(dense.data(), expected, of_gradients, param->name);
  }
}

TEST_P(EngramGolden, AddressesAreEqualFromTheTokenizerOn) {
  auto map = golden<int32_t>("compressed_map");
  EXPECT_EQ(canonical_.map, map);
  EXPECT_EQ(canonical_.sha256, golden_json_["vocabulary"]["sha256_of_int32_map"].get<std::string>());
  EXPECT_EQ(canonical_.count, golden_json_["vocabulary"]["compressed"].get<int64_t>());
  auto pad = map[static_cast<size_t>(config_.pad_id)];
  EXPECT_EQ(pad, golden_json_["vocabulary"]["pad_compressed"].get<int32_t>());
  auto hashes = derive_hashes(config_, canonical_.count);
  for (size_t i = 0; i < hashes.size(); ++i) {
    std::string layer = fmt::format("layer.{}.", config_.layer_ids[i]);
    EXPECT_EQ(hashes[i].multipliers, golden<int64_t>(layer + "multipliers"));
    EXPECT_EQ(hashes[i].primes, golden<int64_t>(layer + "primes"));
    EXPECT_EQ(hashes[i].offsets, golden<int64_t>(layer + "offsets"));
    for (size_t s = 0; s < sequences_.size(); ++s) {
      std::vector<int32_t> folded;
      for (int32_t raw : sequences_[s]) folded.push_back(map[static_cast<size_t>(raw)]);
      auto T = static_cast<int64_t>(folded.size());
      std::vector<int64_t> mixes(static_cast<size_t>(T * config_.orders())), by_order;
      ngram_mixes(hashes[i], pad, folded.data(), 0, T, mixes.data());
      for (int64_t order = 0; order < config_.orders(); ++order) {
        for (int64_t t = 0; t < T; ++t) by_order.push_back(mixes[static_cast<size_t>(t * config_.orders() + order)]);
      }
      EXPECT_EQ(by_order, golden<int64_t>(names_[s] + "." + layer + "mix"));
    }
  }
}

TEST_P(EngramGolden, DoubleAgreesInEveryOutputAndGradient) {
  for (const char* variant : {"code", "paper", "noconv"}) {
    for (int64_t layer : config_.layer_ids) check<double>(variant, Numerics::kF64, layer, 1e-11, 1e-10);
  }
}

TEST_P(EngramGolden, FloatAgreesWithinItsRounding) {
  for (const char* variant : {"code", "paper", "noconv"}) {
    for (int64_t layer : config_.layer_ids) check<float>(variant, Numerics::kF32, layer, 4e-6, 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, EngramGolden, testing::Values("engram-paper-hc1", "engram-paper-hc4"),
                         [](const auto& one) { return std::string(one.param).substr(13); });

}  // namespace
}  // namespace unha
