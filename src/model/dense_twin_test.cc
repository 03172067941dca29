// SPDX-License-Identifier: Apache-2.0
// Dense models against a plain twin in double that shares no code with them: deepseek-v3.md section 12 written down
// token by token, one sequence, keys and values of all positions kept.
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "base/error.h"
#include "model/test_dense.h"
#include "ops/rope.h"

namespace unha {
namespace {

using Row = std::vector<double>;

class Twin {
 public:
  Twin(const Json& config, const ParamStore& params) : config_(config), params_(params) {
    heads_ = number("num_attention_heads");
    kv_ = number("num_key_value_heads");
    dim_ = number("head_dim");
    keys_.resize(number("num_hidden_layers"));
    values_.resize(keys_.size());
    make_frequencies();
  }

  // The final norm's row of the next token.
  Row next(int32_t id) {
    const double* e = tensor("model.embed_tokens.weight") + id * static_cast<int64_t>(number("hidden_size"));
    Row x(e, e + number("hidden_size"));
    for (size_t layer = 0; layer < keys_.size(); ++layer) {
      std::string prefix = "model.layers." + std::to_string(layer) + ".";
      add(x, attend(layer, prefix + "self_attn.", norm(x, prefix + "input_layernorm.weight")));
      Row h = norm(x, prefix + "post_attention_layernorm.weight");
      Row gate = times(prefix + "mlp.gate_proj", h), up = times(prefix + "mlp.up_proj", h);
      for (size_t i = 0; i < gate.size(); ++i) up[i] *= gate[i] / (1 + std::exp(-gate[i]));
      add(x, times(prefix + "mlp.down_proj", up));
    }
    ++position_;
    return norm(x, "model.norm.weight");
  }

 private:
  size_t number(const char* key) const { return config_.at(key).get<size_t>(); }
  const double* tensor(const std::string& name) const { return params_.find(name)->weight.value.data<double>(); }
  static void add(Row& x, const Row& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }
  Row norm(const Row& x, const std::string& name) const {
    double mean = std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / static_cast<double>(x.size());
    Row y = x;
    for (size_t i = 0; i < x.size(); ++i) y[i] *= tensor(name)[i] / std::sqrt(mean + 1e-5);
    return y;
  }
  Row times(const std::string& name, const Row& x) const {
    const Param& w = *params_.find(name + ".weight");
    const Param* bias = params_.find(name + ".bias");
    Row y(static_cast<size_t>(w.shape[0]));
    for (size_t o = 0; o < y.size(); ++o) {
      const double* row = tensor(w.name) + o * x.size();
      y[o] = std::inner_product(x.begin(), x.end(), row, bias != nullptr ? tensor(bias->name)[o] : 0.0);
    }
    return y;
  }

  void make_frequencies() {
    double theta = config_.value("rope_theta", 10000.0);
    Json scaling = config_.value("rope_scaling", Json::object());
    std::string type = scaling.value("rope_type", std::string());
    double factor = scaling.value("factor", 1.0), length = scaling.value("original_max_position_embeddings", 0.0);
    auto pairs = static_cast<double>(dim_ / 2), pi = std::acos(-1.0);
    for (double i = 0; i < pairs; ++i) {
      double f = std::pow(theta, -i / pairs), wavelength = 2 * pi / f;
      if (type == "llama3") {
        double low = scaling["low_freq_factor"], high = scaling["high_freq_factor"];
        double smooth = (length / wavelength - low) / (high - low);
        f = wavelength < length / high  ? f
            : wavelength > length / low ? f / factor
                                        : (1 - smooth) * f / factor + smooth * f;
      }
      if (type == "yarn") {
        auto pair = [&](double turns) { return pairs * std::log(length / (turns * 2 * pi)) / std::log(theta); };
        double low = std::max(std::floor(pair(scaling.value("beta_fast", 32.0))), 0.0);
        double high = std::min(std::ceil(pair(scaling.value("beta_slow", 1.0))), 2 * pairs - 1);
        double ramp = std::min(std::max((i - low) / (high - low), 0.0), 1.0);
        f = f / factor * ramp + f * (1 - ramp);
      }
      frequencies_.push_back(f);
    }
    if (type == "yarn") amplitude_ = 0.1 * std::log(factor) + 1;
  }

  // A projection's heads, normed and rotated.
  Row rotated(const std::string& prefix, const char* name, const Row& x) const {
    Row y = times(prefix + name + std::string("_proj"), x);
    bool adjacent = config_.value("rope_interleave", false);
    for (size_t at = 0; at < y.size(); at += dim_) {
      Row head(y.begin() + static_cast<int64_t>(at), y.begin() + static_cast<int64_t>(at + dim_));
      if (config_["model_type"] == "qwen3") head = norm(head, prefix + name + "_norm.weight");
      for (size_t i = 0; i < dim_ / 2; ++i) {
        size_t a = adjacent ? 2 * i : i, b = adjacent ? 2 * i + 1 : i + dim_ / 2;
        double angle = frequencies_[i] * static_cast<double>(position_);
        double c = std::cos(angle) * amplitude_, s = std::sin(angle) * amplitude_;
        y[at + a] = head[a] * c - head[b] * s;
        y[at + b] = head[b] * c + head[a] * s;
      }
    }
    return y;
  }

  Row attend(size_t layer, const std::string& prefix, const Row& x) {
    Row q = rotated(prefix, "q", x), out(q.size());
    keys_[layer].push_back(rotated(prefix, "k", x));
    values_[layer].push_back(times(prefix + "v_proj", x));
    for (size_t h = 0; h < heads_; ++h) {
      auto from = static_cast<int64_t>(h / (heads_ / kv_) * dim_);
      Row p;
      double sum = 0;
      for (const Row& k : keys_[layer]) {
        double s = std::inner_product(k.begin() + from, k.begin() + from + static_cast<int64_t>(dim_),
                                      q.begin() + static_cast<int64_t>(h * dim_), 0.0);
        p.push_back(std::exp(s / std::sqrt(static_cast<double>(dim_))));
        sum += p.back();
      }
      for (size_t j = 0; j < p.size(); ++j) {
        for (size_t i = 0; i < dim_; ++i) {
          out[h * dim_ + i] += p[j] / sum * values_[layer][j][static_cast<size_t>(from) + i];
        }
      }
    }
    return times(prefix + "o_proj", out);
  }

  const Json& config_;
  const ParamStore& params_;
  size_t heads_, kv_, dim_, position_ = 0;
  Row frequencies_;
  double amplitude_ = 1;
  std::vector<std::vector<Row>> keys_, values_;
};

TEST(DenseTwin, EveryVariantSaysTheSame) {
  for (int i = 0; i < kDenseVariants; ++i) {
    Json config = dense_variant(i);
    auto model = make_dense(config);
    Twin twin(config, model->params());
    Arena arena;
    Threads threads(2);
    Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
    auto ids = dense_ids(90);
    Segment segment{0, 90, 0};
    Tensor y = model->final_norm(ctx, model->trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr}));
    double worst = 0;
    for (int64_t t = 0; t < 90; ++t) {
      Row expected = twin.next(ids[static_cast<size_t>(t)]);
      for (int64_t c = 0; c < y.cols(); ++c) {
        worst = std::max(worst, std::fabs(y.row<double>(t)[c] - expected[static_cast<size_t>(c)]));
      }
    }
    EXPECT_LT(worst, 1e-10) << "variant " << i;
  }
}

TEST(DenseTwin, DivisorsOfAFileStandForTheConfigsScaling) {
  Json config = dense_variant(1);
  auto scaled = make_dense(config);
  config.erase("rope_scaling");
  auto divided = make_dense(config);
  RopeConfig rope{50, 8, std::nullopt};
  auto plain = rope_frequencies(rope);
  rope.llama3 = Llama3Rope{8, 1, 4, 32};
  auto slower = rope_frequencies(rope);
  Tensor factors = divided->params().find("rope_freqs.weight")->weight.value;
  auto run = [](Model& model) {
    Arena arena;
    Threads threads(1);
    Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
    auto ids = dense_ids(90);
    Segment segment{0, 90, 0};
    Tensor y = model.trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr});
    return Row(y.data<double>(), y.data<double>() + y.size());
  };
  auto worst = [&] {
    Row a = run(*scaled), b = run(*divided);
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
    return most;
  };
  EXPECT_GT(worst(), 1e-3);  // not bound yet
  for (size_t i = 0; i < 4; ++i) factors.data<double>()[i] = plain[i] / slower[i];
  divided->bound();
  EXPECT_LT(worst(), 1e-10);
  factors.data<double>()[2] = 0;
  EXPECT_THROW(divided->bound(), Error);
}

// The twin cannot say that a switch matters: that it is not ignored shows here.
TEST(DenseTwin, EverySwitchMatters) {
  auto run = [](const Json& config, const std::function<void(ParamStore&)>& change) {
    auto model = make_dense(config);
    change(model->params());
    Arena arena;
    Threads threads(1);
    Ctx ctx = make_ctx(arena, threads, Numerics::kF64, Isa::kScalar);
    auto ids = dense_ids(90);
    Segment segment{0, 90, 0};
    Tensor y = model->trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr});
    return Row(y.data<double>(), y.data<double>() + y.size());
  };
  auto zero = [](const char* name) {
    return [name](ParamStore& store) {
      Param* p = store.find(std::string("model.layers.0.self_attn.") + name);
      std::fill_n(p->weight.value.data<double>(), p->size(), 0.0);
    };
  };
  auto keep = [](ParamStore&) {};
  Row plain = run(dense_variant(1), keep);
  for (const char* bias : {"q_proj.bias", "k_proj.bias", "v_proj.bias", "o_proj.bias"}) {
    EXPECT_NE(run(dense_variant(1), zero(bias)), plain) << bias;
  }
  EXPECT_NE(run(dense_variant(3), zero("k_norm.weight")), run(dense_variant(3), keep));
  for (int i : {1, 3}) {
    Json config = dense_variant(i);
    config.erase("rope_scaling");
    EXPECT_NE(run(config, keep), run(dense_variant(i), keep)) << "variant " << i;
  }
  Json config = dense_variant(1);
  config["rope_interleave"] = false;
  EXPECT_NE(run(config, keep), plain);
}

}  // namespace
}  // namespace unha
