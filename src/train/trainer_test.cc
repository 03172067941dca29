// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "train/test_model.h"

namespace unha {

namespace {

TrainConfig small_config() {
  TrainConfig c;
  c.what = "test";
  c.steps = 300;
  c.seed = 1;
  c.sequence_length = 32;
  c.batch_tokens = 256;
  c.optimizer.lr = 3e-3;
  c.schedule.warmup_steps = 5;
  return c;
}

struct Fixture {
  Fixture(const TestModelOptions& o, const TrainConfig& c, Numerics numerics = Numerics::kF32, int n_threads = 2,
          Isa isa = best_isa(), int64_t documents_count = 40)
      : config(c),
        documents(documents_count, 27, o.vocab),
        threads(n_threads),
        model(make_test_model(test_model_config(o), numerics)),
        trainer(*model, config, documents, numerics, isa, threads) {
    trainer.optimizer().create(trainer.ctx(), 1);
  }
  std::vector<float> bytes_of_values() const {
    std::vector<float> all;
    for (const Param* p : model->params().by_name()) {
      for (int64_t i = 0; i < p->size(); ++i) {
        all.push_back(p->weight.value.dtype() == DType::kBF16 ? bf16_to_f32(p->weight.value.data<uint16_t>()[i])
                                                              : p->weight.value.data<float>()[i]);
      }
    }
    return all;
  }

  TrainConfig config;
  TestDocuments documents;
  Threads threads;
  std::unique_ptr<Model> model;
  Trainer trainer;
};

}  // namespace

TEST(Trainer, StepsAreTheSameOnEveryTierWithAnyThreads) {
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) {
    TrainConfig config = small_config();
    config.gradient_groups = 4;
    Fixture reference({}, config, numerics, 1, Isa::kScalar);
    std::vector<double> losses;
    for (int i = 0; i < 3; ++i) losses.push_back(reference.trainer.step().loss);
    for (Isa isa : available_isas()) {
      for (int n : {1, 2, 3}) {
        Fixture f({}, config, numerics, n, isa);
        for (int i = 0; i < 3; ++i) EXPECT_EQ(f.trainer.step().loss, losses[static_cast<size_t>(i)]);
        EXPECT_EQ(f.bytes_of_values(), reference.bytes_of_values()) << isa_name(isa) << " " << n;
      }
    }
  }
}

TEST(Trainer, GradientGroupsGiveTheSameStepButForRounding) {
  TrainConfig one = small_config(), four = small_config();
  four.gradient_groups = 4;
  Fixture a({}, one), b({}, four);
  StepStats x = a.trainer.step(), y = b.trainer.step();
  EXPECT_NEAR(x.loss, y.loss, 1e-5);
  EXPECT_NEAR(x.loss_balance, y.loss_balance, 1e-8);
  EXPECT_NEAR(x.grad_norm, y.grad_norm, 1e-4 * x.grad_norm);
}

// training.md 6.4, small: a batch of random tokens is learned by heart.
TEST(Trainer, OverfitsOneBatch) {
  for (int variant = 0; variant < 3; ++variant) {
    TestModelOptions o;
    o.moe = variant >= 1;
    o.engram = variant >= 2;
    o.mtp = false;
    TrainConfig config = small_config();
    config.optimizer.weight_decay = 0;
    config.schedule.plateau_end = config.schedule.cosine_end = config.schedule.tail_end = 1;
    Fixture f(o, config, Numerics::kF32, 2, best_isa(), 8);
    double first = f.trainer.step().loss, last = 0;
    for (int i = 0; i < 200; ++i) last = f.trainer.step().loss;
    EXPECT_NEAR(first, std::log(61.0), 0.1);
    EXPECT_LT(last, 0.3) << "variant " << variant;
  }
}

TEST(Trainer, BiasesSpreadTheLoadOfAFavouredExpert) {
  TestModelOptions o;
  o.engram = false;
  o.mtp = false;
  TrainConfig config = small_config();
  config.optimizer.lr = 1e-6;  // the router hardly learns: the biases do it
  config.schedule.router_bias_speed = 1e-3;
  config.steps = 400;
  Fixture f(o, config);
  Param* bias = f.model->params().find("model.layers.1.mlp.gate.e_score_correction_bias");
  bias->weight.value.data<float>()[3] = 0.15f;
  double first = f.trainer.step().max_vio, last = 0;
  EXPECT_GT(first, 2);
  for (int i = 0; i < 300; ++i) last = f.trainer.step().max_vio;
  EXPECT_LT(last, 0.5);
}

TEST(Trainer, NeverLetsAGradientReachTheBiases) {
  TrainConfig config = small_config();
  config.schedule.router_bias_speed = 0;
  Fixture f({}, config);
  f.trainer.step();
  Param* bias = f.model->params().find("model.layers.1.mlp.gate.e_score_correction_bias");
  for (int64_t e = 0; e < 8; ++e) EXPECT_EQ(bias->weight.value.data<float>()[e], 0.0f);
}

TEST(Trainer, StopsBeforeAnythingChangesWhenTheLossIsNotFinite) {
  Fixture f({}, small_config());
  f.trainer.step();
  Param* norm = f.model->params().find("model.norm.weight");
  norm->weight.value.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  ++norm->weight.version;
  std::vector<float> head_before(f.model->head().value.data<float>(), f.model->head().value.data<float>() + 100);
  Cursor cursor = f.trainer.loader().cursor();
  EXPECT_THROW(f.trainer.step(), DivergedError);
  EXPECT_EQ(f.trainer.steps_done(), 1);
  EXPECT_EQ(f.trainer.loader().cursor().index, cursor.index);
  EXPECT_TRUE(std::equal(head_before.begin(), head_before.end(), f.model->head().value.data<float>()));
  EXPECT_NE(f.trainer.batch_json().find("\"ids\""), std::string::npos);
}

TEST(Trainer, StopsAtAGradientFarAboveTheMedianAndAtHugeActivations) {
  Fixture f({}, small_config());
  for (int i = 0; i < 25; ++i) f.trainer.step();
  f.trainer.restore(f.trainer.counters(), std::vector<double>(30, 1e-6));
  EXPECT_THROW(f.trainer.step(), DivergedError);
  Fixture g({}, small_config());
  Param* embed = g.model->params().find("model.embed_tokens.weight");
  for (int64_t i = 0; i < embed->size(); ++i) embed->weight.value.data<float>()[i] *= 1e7f;
  ++embed->weight.version;
  EXPECT_THROW(g.trainer.step(), DivergedError);
}

TEST(Trainer, AProfiledStepIsTheSameStepAndNamesItsOps) {
  Fixture a({}, small_config()), b({}, small_config());
  StepProfile profile;
  EXPECT_EQ(a.trainer.step().loss, b.trainer.profiled_step(profile).loss);
  EXPECT_EQ(a.trainer.step().loss, b.trainer.step().loss);
  for (const char* name : {"head_loss", "linear", "rms_norm", "optimizer"}) EXPECT_TRUE(profile.contains(name)) << name;
}

TEST(Trainer, ClipsToTheConfiguredNorm) {
  TrainConfig config = small_config();
  config.optimizer.clip = 1e-3;
  Fixture f({}, config);
  StepStats stats = f.trainer.step();
  EXPECT_TRUE(stats.clipped);
  EXPECT_GT(stats.grad_norm, 1e-3);
  config.optimizer.clip = 0;
  Fixture g({}, config);
  EXPECT_FALSE(g.trainer.step().clipped);
}

}  // namespace unha
