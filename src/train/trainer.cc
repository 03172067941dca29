// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/engram.h"
#include "ops/balance.h"
#include "ops/head_loss.h"

namespace unha {

namespace {
constexpr size_t kNormsNeeded = 20;
constexpr double kNormFactor = 100;  // of the running median
constexpr float kLargestActivation = 1e4f;

PackConfig pack_config(const Model& model, const TrainConfig& config) {
  PackConfig pack;
  pack.sequence_length = config.sequence_length;
  pack.rows = config.batch_tokens / config.sequence_length;
  pack.groups = config.gradient_groups;
  pack.ahead = 1 + model.mtp_depth();
  pack.document_mask = config.document_mask;
  pack.whole_documents = config.objective == Objective::kSft;
  pack.bos = static_cast<int32_t>(model.bos_token_id());
  pack.seed = static_cast<uint64_t>(config.seed);
  return pack;
}

std::string bias_name(int layer) {
  return "model.layers." + std::to_string(layer) + ".mlp.gate.e_score_correction_bias";
}
}  // namespace

// Loads of the whole batch, and the balance loss of each routing.
class Trainer::Routes final : public RouteSink {
 public:
  void routed(Ctx& ctx, int layer, const ops::Routing& routing, std::span<const Segment> segments) override {
    if (alpha > 0) {
      ops::RouteConfig route;
      route.n_routed_experts = routing.scores.cols();
      route.num_experts_per_tok = routing.ids.cols();
      Tensor value = ops::balance_loss(ctx, routing, segments, route, alpha);
      if (!ctx.replay) balance += static_cast<double>(*value.data<float>());
    }
    if (ctx.replay) return;
    std::vector<int64_t>& sum = loads[layer];
    sum.resize(static_cast<size_t>(routing.counts.cols()));
    for (size_t e = 0; e < sum.size(); ++e) sum[e] += routing.counts.data<int64_t>()[e];
  }

  double alpha = 0;
  double balance = 0;
  std::map<int, std::vector<int64_t>> loads;
};

// The largest activation of the residual stream.
class Trainer::Guard final : public Observer {
 public:
  explicit Guard(Threads& threads) : threads_(threads) {}
  void observe(const char* name, int layer, const Tensor& value) override {
    if (std::strcmp(name, "layer") != 0 || value.dtype() != DType::kF32) return;
    std::vector<float> most(static_cast<size_t>(value.rows()));
    threads_.parallel_for(value.rows(), 256, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float m = 0;
        for (int64_t j = 0; j < value.cols(); ++j) m = std::max(m, std::fabs(value.row<float>(i)[j]));
        most[static_cast<size_t>(i)] = m;
      }
    });
    float m = *std::max_element(most.begin(), most.end());
    if (m > largest) {
      largest = m;
      at = layer;
    }
  }

  float largest = 0;
  int at = -1;

 private:
  Threads& threads_;
};

Trainer::Trainer(Model& model, const TrainConfig& config, const Documents& documents, Numerics numerics, Isa isa,
                 Threads& threads)
    : model_(model),
      config_(config),
      loader_(documents, pack_config(model, config)),
      ctx_(make_ctx(arena_, threads, numerics, isa)),
      optimizer_(model, config.optimizer) {}

Trainer::Sums Trainer::run_group(const PackedRows& rows, double alpha, Routes& routes, Guard& guard) {
  arena_.rewind();
  tape_.set_profile(profile_);
  ctx_.tape = &tape_;
  ctx_.observer = &guard;
  routes.alpha = alpha * static_cast<double>(rows.ids.size()) / static_cast<double>(rows_);
  Batch batch{rows.ids, rows.segments, {}, &routes};
  Sums sums;
  // Every term divides by the number of targets of the whole batch.
  auto scale = 1.0f / static_cast<float>(std::max<int64_t>(targets_, 1));
  row_scale_.assign(rows.ids.size(), scale);
  Tensor h = model_.trunk(ctx_, batch);
  Tensor nll = ops::head_loss(ctx_, model_.final_norm(ctx_, h), model_.head(), rows.targets[0], row_scale_).nll;
  sums.main = ops::sum_rows(ctx_, nll);
  int depth = model_.mtp_depth();
  double lambda = mtp_weight(config_.schedule, steps_done_, config_.steps);
  std::vector<float> mtp_scale(rows.ids.size(), static_cast<float>(lambda / std::max(depth, 1)) * scale);
  for (int k = 0; k < depth && lambda > 0; ++k) {
    batch.ids = rows.next[static_cast<size_t>(k)];
    h = model_.mtp(ctx_, k, h, batch);
    nll = ops::head_loss(ctx_, model_.mtp_norm(ctx_, k, h), model_.mtp_head(k),
                         rows.targets[static_cast<size_t>(k) + 1], mtp_scale)
              .nll;
    sums.mtp += ops::sum_rows(ctx_, nll) / depth;
  }
  tape_.backward();
  ctx_.tape = nullptr;
  ctx_.observer = nullptr;
  return sums;
}

// The model's gradients = left + the model's gradients.
void Trainer::add_grads(const Grads& left) {
  auto* sum = reinterpret_cast<float*>(model_.params().grads());
  auto* other = reinterpret_cast<const float*>(left.dense);
  ctx_.threads.parallel_for(model_.params().grad_elements(), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum[i] = other[i] + sum[i];
  });
  if (EngramMemory* engram = model_.engram()) {
    for (size_t i = 0; i < left.tables.size(); ++i) engram->layers()[i]->table_grad().add(ctx_, left.tables[i]);
  }
}

// A binary counter: group g's gradients meet those of the finished part beside them, level by level.
void Trainer::all_groups(Routes& routes, Guard& guard, Sums& sums) {
  ParamStore& params = model_.params();
  auto bytes = static_cast<size_t>(params.grad_elements()) * sizeof(float);
  EngramMemory* engram = model_.engram();
  for (size_t g = 0; g < batch_.size(); ++g) {
    std::memset(params.grads(), 0, bytes);
    if (engram != nullptr) {
      for (const auto& layer : engram->layers()) layer->table_grad().clear();
    }
    Sums group = run_group(batch_[g], config_.balance_alpha, routes, guard);
    sums.main += group.main;
    sums.mtp += group.mtp;
    size_t level = 0;
    for (; (g >> level & 1) != 0; ++level) add_grads(waiting_[level]);
    if (g + 1 == batch_.size()) break;
    if (waiting_.size() <= level) waiting_.resize(level + 1);
    Grads& keep = waiting_[level];
    if (keep.memory.empty()) {
      keep.memory.resize(bytes + 64);
      auto address = reinterpret_cast<uintptr_t>(keep.memory.data());
      keep.dense = keep.memory.data() + (64 - address % 64) % 64;
    }
    std::memcpy(keep.dense, params.grads(), bytes);
    if (engram == nullptr) continue;
    keep.tables.resize(engram->layers().size());
    for (size_t i = 0; i < keep.tables.size(); ++i) std::swap(keep.tables[i], engram->layers()[i]->table_grad());
  }
}

void Trainer::check(const StepStats& s, const Guard& guard) const {
  std::string problem;
  if (!std::isfinite(s.loss) || !std::isfinite(s.loss_mtp) || !std::isfinite(s.loss_balance)) {
    problem = fmt::format("the loss is {} (MTP {}, balance {})", s.loss, s.loss_mtp, s.loss_balance);
  } else if (!std::isfinite(s.grad_norm)) {
    problem = fmt::format("the gradient's norm is {}", s.grad_norm);
  } else if (guard.largest > kLargestActivation) {
    problem = fmt::format("an activation after layer {} is {}, above {}", guard.at, guard.largest, kLargestActivation);
  } else if (recent_norms_.size() >= kNormsNeeded) {
    std::vector<double> norms = recent_norms_;
    std::nth_element(norms.begin(), norms.begin() + static_cast<std::ptrdiff_t>(norms.size() / 2), norms.end());
    double median = norms[norms.size() / 2];
    if (s.grad_norm > kNormFactor * median) {
      problem = fmt::format("the gradient's norm is {}, over {} times the median {}", s.grad_norm, kNormFactor, median);
    }
  }
  if (problem.empty()) return;
  throw DivergedError(ErrorCode::kInvalidArgument,
                      fmt::format("{}: training diverged at step {}: {}", config_.what, s.step, problem),
                      "resume from the last checkpoint with a lower \"optimizer.lr\" in a new folder");
}

double Trainer::max_violation(const Routes& routes) const {
  double worst = 0;
  for (const auto& [layer, loads] : routes.loads) {
    double sum = 0, most = 0;
    for (int64_t load : loads) {
      sum += static_cast<double>(load);
      most = std::max(most, static_cast<double>(load));
    }
    double mean = sum / static_cast<double>(loads.size());
    if (mean > 0) worst = std::max(worst, most / mean - 1);
  }
  return worst;
}

void Trainer::move_biases(const Routes& routes, double speed) {
  if (speed == 0) return;
  for (const auto& [layer, loads] : routes.loads) {
    Param* param = model_.params().find(bias_name(layer));
    if (param == nullptr) continue;
    int64_t sum = 0;
    for (int64_t load : loads) sum += load;
    auto experts = static_cast<int64_t>(loads.size());
    auto* bias = param->weight.value.data<float>();
    for (int64_t e = 0; e < experts; ++e) {
      // sign(mean - load), in integers
      int64_t difference = sum - loads[static_cast<size_t>(e)] * experts;
      if (difference != 0) bias[e] += difference > 0 ? static_cast<float>(speed) : -static_cast<float>(speed);
    }
    ++param->weight.version;
  }
}

StepStats Trainer::profiled_step(StepProfile& profile) {
  profile.clear();
  profile_ = &profile;
  auto begin = std::chrono::steady_clock::now();
  StepStats stats;
  try {
    stats = step();
  } catch (...) {
    profile_ = nullptr;
    throw;
  }
  profile_ = nullptr;
  double rest = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (const auto& [name, time] : profile) rest -= time.forward_s + time.backward_s;
  profile["optimizer"] = {0, rest, 1};
  return stats;
}

StepStats Trainer::step() {
  Cursor before = loader_.cursor();
  batch_ = loader_.next();
  rows_ = 0;
  targets_ = 0;
  for (const PackedRows& group : batch_) {
    rows_ += static_cast<int64_t>(group.ids.size());
    for (int32_t target : group.targets[0]) targets_ += target >= 0 ? 1 : 0;
  }
  StepStats stats;
  stats.step = steps_done_ + 1;
  stats.tokens = rows_;
  stats.targets = targets_;
  Routes routes;
  Guard guard(ctx_.threads);
  Sums sums;
  all_groups(routes, guard, sums);
  auto targets = static_cast<double>(std::max<int64_t>(targets_, 1));
  stats.loss = sums.main / targets;
  stats.loss_mtp = sums.mtp / targets;
  stats.loss_balance = routes.balance;
  stats.grad_norm = optimizer_.grad_norm(ctx_);
  stats.max_vio = max_violation(routes);
  stats.lr = config_.optimizer.lr * lr_factor(config_.schedule, steps_done_, config_.steps);
  try {
    check(stats, guard);
  } catch (const DivergedError&) {
    loader_.set_cursor(before);
    throw;
  }
  float scale = 1;
  if (config_.optimizer.clip > 0 && stats.grad_norm > config_.optimizer.clip) {
    stats.clipped = true;
    scale = static_cast<float>(config_.optimizer.clip / stats.grad_norm);
  }
  optimizer_.step(ctx_, steps_done_ + 1, stats.lr, scale);
  move_biases(routes, router_bias_speed(config_.schedule, steps_done_, config_.steps));
  recent_norms_.push_back(stats.grad_norm);
  if (recent_norms_.size() > kRecentNorms) recent_norms_.erase(recent_norms_.begin());
  ++steps_done_;
  tokens_done_ += rows_;
  return stats;
}

std::string Trainer::batch_json() const {
  Json json = {{"step", steps_done_ + 1}, {"groups", Json::array()}};
  for (const PackedRows& group : batch_) {
    Json segments = Json::array();
    for (const Segment& segment : group.segments) segments.push_back({segment.begin, segment.len});
    json["groups"].push_back({{"ids", group.ids}, {"targets", group.targets[0]}, {"segments", segments}});
  }
  return json.dump() + "\n";
}

std::vector<int64_t> Trainer::counters() const {
  Cursor cursor = loader_.cursor();
  return {steps_done_, tokens_done_, cursor.epoch, cursor.index, cursor.offset};
}

void Trainer::restore(std::span<const int64_t> counters, std::vector<double> recent_norms) {
  UNHA_CHECK(static_cast<int64_t>(counters.size()) == kCounters, "{} counters", counters.size());
  steps_done_ = counters[0];
  tokens_done_ = counters[1];
  loader_.set_cursor({counters[2], counters[3], counters[4]});
  recent_norms_ = std::move(recent_norms);
}

}  // namespace unha
