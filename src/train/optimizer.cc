// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/engram.h"
#include "tensor/shape_text.h"

namespace unha {

namespace {

constexpr int64_t kGrain = 8192;
constexpr int kLanes = 16;

bool decays(ParamRole role) {
  return role == ParamRole::kMatrix || role == ParamRole::kHead || role == ParamRole::kRouter;
}

double fold(double* lanes) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

void widen(const TensorInfo& info, float* out) {
  if (info.dtype == DType::kF32) {
    std::memcpy(out, info.data, static_cast<size_t>(info.bytes));
    return;
  }
  for (int64_t i = 0; i < info.elements(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, info.data + 2 * i, 2);
    out[i] = bf16_to_f32(bits);
  }
}

}  // namespace

double sum_of_squares(const float* x, int64_t n) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
  }
  for (int j = 0; i + j < n; ++j) lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
  return fold(lanes);
}

float* Optimizer::Slot::values() { return master.empty() ? param->weight.value.data<float>() : master.data(); }

Optimizer::Optimizer(Model& model, const OptimizerConfig& config) : config_(config), params_(model.params()) {
  std::map<const Param*, SparseGrad*> tables;
  if (EngramMemory* engram = model.engram()) {
    for (const auto& layer : engram->layers()) tables[&layer->table()] = &layer->table_grad();
  }
  for (Param* param : params_.by_name()) {
    if (param->role == ParamRole::kTable) {
      std::fill_n(param->weight.value.bytes(), param->size() * dtype_bytes(param->weight.value.dtype()), std::byte{0});
      RowAdamConfig row{config.beta1, config.beta2, config.eps};
      tables_.push_back({param, tables.at(param), std::make_unique<RowAdam>(*param, row)});
      continue;
    }
    Slot& slot = slots_.emplace_back();
    slot.param = param;
    slot.decay = decays(param->role);
    auto n = static_cast<size_t>(param->size());
    if (param->weight.value.dtype() == DType::kBF16) slot.master.resize(n);
    if (!param->dense_grad()) continue;  // router biases: a value and no more
    slot.m.resize(n);
    slot.v.resize(n);
  }
}

void Optimizer::set(Ctx& ctx, Slot& slot) {
  ++slot.param->weight.version;
  if (slot.master.empty()) return;
  auto* out = slot.param->weight.value.data<uint16_t>();
  ctx.threads.parallel_for(slot.param->size(), kGrain, [&](int64_t begin, int64_t end) {
    ctx.kernels<float>().optim.round_bf16(slot.master.data() + begin, out + begin, end - begin);
  });
}

template <class Fill>
void Optimizer::set_all(Ctx& ctx, const Fill& fill) {
  for (Slot& slot : slots_) {
    fill(*slot.param, slot.values());
    set(ctx, slot);
  }
  for (Table& table : tables_) {
    fill(*table.param, table.adam->master().data());
    table.adam->publish(ctx);
  }
}

void Optimizer::create(Ctx& ctx, uint64_t seed) {
  set_all(ctx, [&](const Param& param, float* out) { ParamStore::initial_values(param, seed, out); });
}

void Optimizer::take_values(Ctx& ctx, const Checkpoint& weights) {
  std::string misfits;
  for (const Param* param : params_.by_name()) {
    const TensorInfo* info = weights.find(param->name);
    std::string problem;
    if (info == nullptr) {
      problem = "is missing";
    } else if (info->shape != param->shape) {
      problem = fmt::format("expected {}, found {}", shape_text(param->shape), shape_text(info->shape));
    } else if (info->dtype != DType::kF32 && info->dtype != DType::kBF16) {
      problem = fmt::format("type {}, expected F32 or BF16", dtype_name(info->dtype));
    }
    if (!problem.empty()) misfits += fmt::format("{}{}: {}", misfits.empty() ? "" : "; ", param->name, problem);
  }
  for (const Constant& constant : params_.constants()) {
    const TensorInfo* info = weights.find(constant.name);
    if (info == nullptr || info->shape != constant.shape || info->dtype != constant.dtype) {
      misfits += fmt::format("{}{}: expected {} {}", misfits.empty() ? "" : "; ", constant.name,
                             dtype_name(constant.dtype), shape_text(constant.shape));
    }
  }
  if (!misfits.empty()) {
    throw_error(ErrorCode::kCorrupt, "{}: tensors do not fit the config: {}", weights.dir(), misfits);
  }
  params_.read_constants(weights);
  set_all(ctx, [&](const Param& param, float* out) { widen(*weights.find(param.name), out); });
}

void Optimizer::restore(Ctx& ctx, const SafetensorsFile& state) {
  auto read = [&](const std::string& kind, const Param& param, float* out) {
    std::string name = kind + "." + param.name;
    const TensorInfo* info = state.find(name);
    if (info == nullptr || info->dtype != DType::kF32 || info->shape != param.shape) {
      throw_error(ErrorCode::kCorrupt, "{}: {}: expected F32 {}, found {}", state.path(), name, shape_text(param.shape),
                  info == nullptr ? "nothing" : fmt::format("{} {}", dtype_name(info->dtype), shape_text(info->shape)));
    }
    std::memcpy(out, info->data, static_cast<size_t>(info->bytes));
  };
  for (Slot& slot : slots_) {
    if (!slot.master.empty()) read("master", *slot.param, slot.master.data());
    if (slot.m.empty()) continue;
    read("m", *slot.param, slot.m.data());
    read("v", *slot.param, slot.v.data());
    set(ctx, slot);
  }
  for (Table& table : tables_) {
    read("master", *table.param, table.adam->master().data());
    read("m", *table.param, table.adam->first_moment().data());
    read("v", *table.param, table.adam->second_moment().data());
    table.adam->publish(ctx);
  }
}

std::vector<TensorSource> Optimizer::state() const {
  std::vector<TensorSource> tensors;
  auto add = [&](const char* kind, const Param& param, std::span<const float> values) {
    if (!values.empty()) {
      tensors.push_back({std::string(kind) + "." + param.name, DType::kF32, param.shape, values.data(), {}});
    }
  };
  for (const Slot& slot : slots_) {
    add("master", *slot.param, slot.master);
    add("m", *slot.param, slot.m);
    add("v", *slot.param, slot.v);
  }
  for (const Table& table : tables_) {
    add("master", *table.param, table.adam->master());
    add("m", *table.param, table.adam->first_moment());
    add("v", *table.param, table.adam->second_moment());
  }
  return tensors;
}

double Optimizer::grad_norm(Ctx& ctx) const {
  const std::vector<Param*>& all = params_.by_name();
  std::vector<const SparseGrad*> sparse(all.size(), nullptr);
  for (const Table& table : tables_) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i] == table.param) sparse[i] = table.grad;
    }
  }
  std::vector<double> sums(all.size(), 0);
  ctx.threads.parallel_for(static_cast<int64_t>(all.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      if (all[i]->dense_grad()) {
        sums[i] = sum_of_squares(all[i]->weight.grad.data<float>(), all[i]->size());
      } else if (sparse[i] != nullptr && !sparse[i]->empty()) {
        Tensor values = sparse[i]->values();
        sums[i] = sum_of_squares(values.data<float>(), values.rows() * values.cols());
      }
    }
  });
  double lanes[kLanes] = {};
  for (size_t i = 0; i < sums.size(); ++i) lanes[i % kLanes] += sums[i];
  return std::sqrt(fold(lanes));
}

void Optimizer::step(Ctx& ctx, int64_t t, double lr, float grad_scale) {
  const auto& kernels = ctx.kernels<float>().optim;
  for (Slot& slot : slots_) {
    if (slot.m.empty()) continue;
    double decay = slot.decay ? config_.weight_decay : 0;
    auto s = kernels::adamw_step<float>(t, lr, config_.beta1, config_.beta2, config_.eps, decay,
                                        static_cast<double>(grad_scale));
    Weight& weight = slot.param->weight;
    float* values = slot.values();
    ctx.threads.parallel_for(slot.param->size(), kGrain, [&](int64_t begin, int64_t end) {
      const float* grad = weight.grad.data<float>() + begin;
      float *w = values + begin, *m = slot.m.data() + begin, *v = slot.v.data() + begin;
      if (slot.master.empty()) {
        kernels.adamw(w, m, v, grad, end - begin, s, nullptr);
      } else {
        kernels.adamw_bf16(w, m, v, grad, end - begin, s, weight.value.data<uint16_t>() + begin);
      }
    });
    ++weight.version;
  }
  for (Table& table : tables_) {
    table.adam->step(ctx, *table.grad, t, lr * config_.engram_lr_factor, grad_scale);
    table.grad->clear();
  }
}

}  // namespace unha
