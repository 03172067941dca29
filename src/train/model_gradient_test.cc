// SPDX-License-Identifier: Apache-2.0
// The whole model's gradient: along a random direction against central differences, in double and in f32; bf16
// against f32; what initialisation gives; and no leak from later tokens.
#include <gtest/gtest.h>

#include <cmath>

#include "train/test_model.h"

namespace unha {

namespace {

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum);
}

class Balance final : public RouteSink {
 public:
  void routed(Ctx& ctx, int, const ops::Routing& routing, std::span<const Segment> segments) override {
    ops::RouteConfig route;
    route.n_routed_experts = routing.scores.cols();
    route.num_experts_per_tok = routing.ids.cols();
    Tensor value = ops::balance_loss(ctx, routing, segments, route, 0.01);
    if (!ctx.replay) ctx.with_real([&](auto r) { sum += static_cast<double>(*value.data<decltype(r)>()); });
    const auto* ids = routing.ids.data<int32_t>();
    if (!ctx.replay) chosen.insert(chosen.end(), ids, ids + routing.ids.size());
  }
  double sum = 0;
  std::vector<int32_t> chosen;
};

struct Fixture {
  Fixture(const TestModelOptions& o, Numerics numerics, Isa isa = Isa::kScalar)
      : threads(2),
        ctx(make_ctx(arena, threads, numerics, isa)),
        model(make_test_model(test_model_config(o), numerics)) {
    TestDocuments documents(7, 19, o.vocab);
    PackConfig pack;
    pack.sequence_length = 24;
    pack.rows = 2;
    pack.ahead = 1 + model->mtp_depth();
    DataLoader loader(documents, pack);
    rows = loader.next()[0];
  }

  // Values of f32 draws in any class, so that classes can be compared. Larger than for training, so that no gradient
  // drowns in rounding.
  void create(double scale = 1) {
    for (Param* p : model->params().by_name()) {
      std::vector<float> values(static_cast<size_t>(p->size()));
      if (p->init.kind == Init::Kind::kZeros) {
        Rng rng(9, Purpose::kTest, static_cast<uint64_t>(p->size()));
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(0.05 * rng.normal_at(i));
      } else {
        ParamStore::initial_values(*p, 7, values.data());
        if (p->init.kind == Init::Kind::kNormal) {
          for (float& v : values) v *= static_cast<float>(scale);
        }
      }
      for (int64_t i = 0; i < p->size(); ++i) set(*p, i, static_cast<double>(values[static_cast<size_t>(i)]));
      ++p->weight.version;
    }
  }
  static void set(Param& p, int64_t i, double v) {
    switch (p.weight.value.dtype()) {
      case DType::kF64:
        p.weight.value.data<double>()[i] = v;
        break;
      case DType::kF32:
        p.weight.value.data<float>()[i] = static_cast<float>(v);
        break;
      default:
        p.weight.value.data<uint16_t>()[i] = f32_to_bf16(static_cast<float>(v));
    }
  }
  static double get(const Tensor& t, int64_t i) {
    return t.dtype() == DType::kF64 ? t.data<double>()[i] : static_cast<double>(t.data<float>()[i]);
  }

  // Main + 0.3 MTP + balance, means over the targets; with a tape the gradients of everything.
  double loss(bool record) {
    arena.rewind();
    Balance routes;
    ctx.tape = record ? &tape : nullptr;
    if (record) {
      size_t bytes = static_cast<size_t>(model->params().grad_elements() * dtype_bytes(ctx.real()));
      std::memset(model->params().grads(), 0, bytes);
      if (model->engram() != nullptr) model->engram()->at(1)->table_grad().clear();
    }
    int64_t targets = 0;
    for (int32_t t : rows.targets[0]) targets += t >= 0 ? 1 : 0;
    auto n = static_cast<double>(targets);
    std::vector<float> one(rows.ids.size(), static_cast<float>(1 / n));
    double scale = static_cast<double>(one[0]);
    Batch batch{rows.ids, rows.segments, {}, &routes};
    Tensor h = model->trunk(ctx, batch);
    Tensor nll = ops::head_loss(ctx, model->final_norm(ctx, h), model->head(), rows.targets[0], one).nll;
    main_loss = ops::sum_rows(ctx, nll) / n;
    double sum = ops::sum_rows(ctx, nll) * scale;
    if (model->mtp_depth() > 0) {
      std::vector<float> weight(rows.ids.size(), 0.3f * one[0]);
      batch.ids = rows.next[0];
      h = model->mtp(ctx, 0, h, batch);
      nll = ops::head_loss(ctx, model->mtp_norm(ctx, 0, h), model->mtp_head(0), rows.targets[1], weight).nll;
      sum += ops::sum_rows(ctx, nll) * static_cast<double>(weight[0]);
    }
    if (record) tape.backward();
    ctx.tape = nullptr;
    balance = routes.sum;
    chosen = routes.chosen;
    return sum + routes.sum;
  }

  // The gradient of a parameter, tables included, as doubles.
  std::vector<double> gradient(const Param& p) {
    std::vector<double> g(static_cast<size_t>(p.size()), 0.0);
    if (p.role == ParamRole::kTable) {
      const SparseGrad& sparse = model->engram()->at(1)->table_grad();
      Tensor values = sparse.values();
      int64_t D = p.weight.cols();
      for (size_t r = 0; r < sparse.rows().size(); ++r) {
        for (int64_t d = 0; d < D; ++d) {
          g[static_cast<size_t>(sparse.rows()[r] * D + d)] = get(values, static_cast<int64_t>(r) * D + d);
        }
      }
    } else if (p.dense_grad()) {
      for (int64_t i = 0; i < p.size(); ++i) g[static_cast<size_t>(i)] = get(p.weight.grad, i);
    }
    return g;
  }

  // v: every tensor alike (`uniform`), or, where that would drown in rounding, the gradient itself with some noise.
  // |(L(+h v) - L(-h v)) / 2h - g.v| / |g.v|; fails if a token changed its experts on the
  // way.
  double directional_error(double h, uint64_t seed, bool uniform) {
    double center = loss(true);
    EXPECT_TRUE(std::isfinite(center));
    std::vector<int32_t> routing = chosen;
    struct Saved {
      Param* p;
      std::vector<double> values, direction;
    };
    std::vector<Saved> all;
    double product = 0, whole = 0;
    for (Param* p : model->params().by_name()) {
      std::vector<double> g = gradient(*p);
      for (double x : g) whole += x * x;
    }
    whole = std::sqrt(whole);
    uint64_t stream = 0;
    for (Param* p : model->params().by_name()) {
      ++stream;
      if (p->role == ParamRole::kRouterBias) continue;
      Saved s{p, {}, {}};
      std::vector<double> g = gradient(*p);
      Rng rng(seed, Purpose::kTest, stream);
      double length = uniform ? norm(g) : whole;
      double spread = (uniform ? 1.0 : 0.1) / std::sqrt(static_cast<double>(p->size()));
      for (int64_t i = 0; i < p->size(); ++i) {
        s.values.push_back(get(p->weight.value, i));
        // Noise beside the gradient's own direction, so that the product does not vanish by chance.
        double along = length > 0 ? g[static_cast<size_t>(i)] / length : 0;
        s.direction.push_back(along + spread * rng.normal_at(static_cast<uint64_t>(i)));
        product += g[static_cast<size_t>(i)] * s.direction.back();
      }
      all.push_back(std::move(s));
    }
    auto move = [&](double step) {
      for (Saved& s : all) {
        for (int64_t i = 0; i < s.p->size(); ++i) {
          set(*s.p, i, s.values[static_cast<size_t>(i)] + step * s.direction[static_cast<size_t>(i)]);
        }
        ++s.p->weight.version;
      }
      double value = loss(false);
      EXPECT_EQ(chosen, routing) << "a routing flipped: choose another seed";
      return value;
    };
    double slope = (move(h) - move(-h)) / (2 * h);
    move(0);
    return std::fabs(slope - product) / std::fabs(product);
  }

  Arena arena;
  Threads threads;
  Tape tape;
  Ctx ctx;
  std::unique_ptr<Model> model;
  PackedRows rows;
  double main_loss = 0, balance = 0;
  std::vector<int32_t> chosen;
};

TestModelOptions variant(int i) {
  TestModelOptions o;
  o.moe = i >= 1;
  o.engram = i >= 2;
  o.mtp = i >= 1;
  return o;
}

}  // namespace

TEST(ModelGradient, AgreesWithCentralDifferencesInDouble) {
  for (int i = 0; i < 3; ++i) {
    Fixture f(variant(i), Numerics::kF64);
    f.create();
    EXPECT_LT(f.directional_error(1e-6, 3, true), 1e-6) << "variant " << i;
  }
}

TEST(ModelGradient, AgreesWithCentralDifferencesInF32) {
  Fixture f(variant(2), Numerics::kF32);
  f.create();
  // Steps large enough for f32 would flip routings: biases far apart hold them.
  for (Param* p : f.model->params().by_name()) {
    if (p->role != ParamRole::kRouterBias) continue;
    for (int64_t e = 0; e < p->size(); ++e) p->weight.value.data<float>()[e] *= 40;
  }
  EXPECT_LT(f.directional_error(4e-3, 3, false), 1e-3);
}

TEST(ModelGradient, InBf16IsCloseToF32) {
  Fixture full(variant(2), Numerics::kF32), half(variant(2), Numerics::kBF16x2);
  full.create();
  half.create();
  double a = full.loss(true), b = half.loss(true);
  ASSERT_EQ(full.chosen, half.chosen);
  EXPECT_LT(std::fabs(a - b), 1e-3 * a);
  for (size_t i = 0; i < full.model->params().by_name().size(); ++i) {
    const Param &p = *full.model->params().by_name()[i], &q = *half.model->params().by_name()[i];
    if (p.role == ParamRole::kRouterBias) continue;
    std::vector<double> g = full.gradient(p), k = half.gradient(q), difference(g.size());
    double dot = 0;
    for (size_t j = 0; j < g.size(); ++j) {
      dot += g[j] * k[j];
      difference[j] = g[j] - k[j];
    }
    if (norm(g) == 0) continue;
    bool loose = p.role == ParamRole::kRouter || p.role == ParamRole::kVector;
    EXPECT_GT(dot / (norm(g) * norm(k)), loose ? 0.99 : 0.999) << p.name;
    EXPECT_LT(std::fabs(norm(k) / norm(g) - 1), 0.02) << p.name;
  }
}

TEST(ModelGradient, RecomputeGivesTheSameBytes) {
  Fixture plain(variant(2), Numerics::kBF16x2), again(variant(2), Numerics::kBF16x2);
  plain.create();
  again.create();
  again.model->set_recompute(true);
  EXPECT_EQ(plain.loss(true), again.loss(true));
  for (const Param* p : plain.model->params().by_name()) {
    EXPECT_EQ(plain.gradient(*p), again.gradient(*again.model->params().find(p->name))) << p->name;
  }
}

// training.md 6.3.
TEST(ModelInit, LossIsThatOfAUniformGuessAndEveryGradientIsThere) {
  for (int i = 0; i < 3; ++i) {
    TestModelOptions o = variant(i);
    o.vocab = 512;
    o.hidden = 64;
    Fixture f(o, Numerics::kF32);
    for (Param* p : f.model->params().by_name()) {
      ParamStore::initial_values(*p, 1, p->weight.value.data<float>());
      ++p->weight.version;
    }
    f.loss(true);
    EXPECT_GT(f.main_loss, std::log(512.0) - 0.02);
    EXPECT_LT(f.main_loss, std::log(512.0) + 0.05);
    if (o.moe) {  // alpha per MoE layer, the MTP module's included
      EXPECT_NEAR(f.balance, 2 * 0.01, 0.5 * 0.02);
    }
    for (const Param* p : f.model->params().by_name()) {
      if (p->role == ParamRole::kRouterBias) continue;
      double length = norm(f.gradient(*p));
      EXPECT_TRUE(std::isfinite(length)) << p->name;
      // Behind the zero convolution, and experts that no token chose.
      bool may_be_zero = p->name.find("conv") != std::string::npos || p->name.find("experts.") != std::string::npos;
      if (!may_be_zero) {
        EXPECT_GT(length, 0) << p->name;
      }
    }
  }
}

// training.md 6.4: what a row says never depends on later tokens.
TEST(ModelLeak, LaterTokensDoNotTouchEarlierRows) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    Fixture f(variant(2), numerics);
    f.create();
    std::vector<int32_t> ids(24), other;
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(3 + i * 7 % 50);
    std::vector<Segment> segments = {{0, 24, 0}};
    auto forward = [&](const std::vector<int32_t>& in, std::vector<float>* mtp) {
      f.arena.rewind();
      Batch batch{in, segments, {}, nullptr};
      Tensor h = f.model->trunk(f.ctx, batch);
      std::vector<float> out(h.data<float>(), h.data<float>() + h.size());
      std::vector<int32_t> next(in.begin() + 1, in.end());
      next.push_back(0);
      batch.ids = next;
      Tensor m = f.model->mtp(f.ctx, 0, h, batch);
      mtp->assign(m.data<float>(), m.data<float>() + m.size());
      return out;
    };
    std::vector<float> mtp, mtp_other;
    std::vector<float> h = forward(ids, &mtp);
    auto D = static_cast<std::ptrdiff_t>(f.model->hidden_size());
    for (std::ptrdiff_t t : {0, 5, 11, 22}) {
      other = ids;
      for (size_t i = static_cast<size_t>(t) + 1; i < other.size(); ++i) other[i] = static_cast<int32_t>(59 - ids[i]);
      std::vector<float> g = forward(other, &mtp_other);
      EXPECT_TRUE(std::equal(h.begin(), h.begin() + (t + 1) * D, g.begin())) << t;
      EXPECT_TRUE(std::equal(mtp.begin(), mtp.begin() + t * D, mtp_other.begin())) << t;  // row t reads token t + 1
      EXPECT_FALSE(std::equal(h.begin(), h.end(), g.begin())) << t;
    }
  }
}

// training.md 6.7: token by token with a cache gives the bytes of the training forward, alone and in company.
TEST(ModelDecode, GivesTheTrainingForwardsBytes) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    Fixture f(variant(2), numerics);
    f.create();
    constexpr int64_t kLength = 21, kSequences = 16;
    std::vector<std::vector<int32_t>> texts;
    std::vector<int32_t> flat;
    std::vector<Segment> segments;
    for (int64_t s = 0; s < kSequences; ++s) {
      std::vector<int32_t> text;
      Rng rng(4, Purpose::kTest, static_cast<uint64_t>(s));
      for (int64_t i = 0; i < kLength; ++i) text.push_back(static_cast<int32_t>(rng.between(0, 60)));
      segments.push_back({s * kLength, kLength, 0});
      flat.insert(flat.end(), text.begin(), text.end());
      texts.push_back(std::move(text));
    }
    f.arena.rewind();
    f.ctx.tape = &f.tape;  // as training runs it
    Batch whole{flat, segments, {}, nullptr};
    Tensor h = f.model->trunk(f.ctx, whole);
    std::vector<float> expected(h.data<float>(), h.data<float>() + h.size());
    f.tape.clear();
    f.ctx.tape = nullptr;
    auto D = static_cast<size_t>(f.model->hidden_size());
    for (int64_t company : {int64_t{1}, kSequences}) {
      std::vector<std::unique_ptr<SequenceCache>> owned;
      std::vector<SequenceCache*> caches;
      for (int64_t s = 0; s < company; ++s) {
        owned.push_back(std::make_unique<SequenceCache>(f.model->cache_layout(), f.ctx.operand(), kLength));
        caches.push_back(owned.back().get());
      }
      for (int64_t t = 0; t < kLength; ++t) {
        f.arena.rewind();
        std::vector<int32_t> ids;
        std::vector<Segment> step;
        for (int64_t s = 0; s < company; ++s) {
          ids.push_back(texts[static_cast<size_t>(s)][static_cast<size_t>(t)]);
          step.push_back({s, 1, t});
        }
        Batch batch{ids, step, caches, nullptr};
        Tensor out = f.model->trunk(f.ctx, batch);
        for (int64_t s = 0; s < company; ++s) {
          caches[static_cast<size_t>(s)]->set_length(t + 1);
          const float* want = expected.data() + static_cast<size_t>(s * kLength + t) * D;
          ASSERT_TRUE(std::equal(want, want + D, out.row<float>(s))) << "sequence " << s << " position " << t;
        }
      }
    }
  }
}

}  // namespace unha
