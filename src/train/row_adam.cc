// SPDX-License-Identifier: Apache-2.0
#include "train/row_adam.h"

#include <algorithm>

namespace unha {

namespace {

constexpr int64_t kRowGrain = 128;

}  // namespace

RowAdam::RowAdam(Param& table, const RowAdamConfig& config) : table_(table), config_(config) {
  const Tensor& value = table.weight.value;
  UNHA_CHECK(!value.empty() && value.dense() && (value.dtype() == DType::kF32 || value.dtype() == DType::kBF16),
             "RowAdam: table {} of {}", table.name, dtype_name(value.dtype()));
  auto size = static_cast<size_t>(value.size());
  master_.resize(size);
  first_.resize(size);
  second_.resize(size);
  for (size_t i = 0; i < size; ++i) {
    master_[i] = value.dtype() == DType::kF32 ? value.data<float>()[i] : bf16_to_f32(value.data<uint16_t>()[i]);
  }
}

void RowAdam::publish(Ctx& ctx) {
  const Tensor& value = table_.weight.value;
  int64_t D = value.cols();
  ctx.threads.parallel_for(value.rows(), kRowGrain, [&](int64_t begin, int64_t end) {
    const float* from = master_.data() + begin * D;
    if (value.dtype() == DType::kF32) {
      std::copy(from, from + (end - begin) * D, value.row<float>(begin));
    } else {
      ctx.f32->optim.round_bf16(from, value.row<uint16_t>(begin), (end - begin) * D);
    }
  });
  ++table_.weight.version;
}

void RowAdam::step(Ctx& ctx, const SparseGrad& grad, int64_t step, double learning_rate, float grad_scale) {
  UNHA_CHECK(step >= 1, "RowAdam: step {}", step);
  if (grad.empty()) return;
  const Tensor& value = table_.weight.value;
  Tensor g = grad.values();
  int64_t D = value.cols();
  UNHA_CHECK(g.dtype() == DType::kF32 && g.cols() == D && grad.rows().back() < value.rows(),
             "RowAdam: gradient of {} columns, row {}, for a table [{}, {}]", g.cols(), grad.rows().back(),
             value.rows(), D);
  constexpr double kNoDecay = 0;
  auto adam = kernels::adamw_step<float>(step, learning_rate, config_.beta1, config_.beta2, config_.eps, kNoDecay,
                                         static_cast<double>(grad_scale));
  const auto& optim = ctx.f32->optim;
  ctx.threads.parallel_for(g.rows(), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t row = grad.rows()[static_cast<size_t>(i)];
      int64_t at = row * D;
      float* master = master_.data() + at;
      float* m = first_.data() + at;
      float* v = second_.data() + at;
      if (value.dtype() == DType::kBF16) {
        optim.adamw_bf16(master, m, v, g.row<float>(i), D, adam, value.row<uint16_t>(row));
      } else {
        optim.adamw(master, m, v, g.row<float>(i), D, adam, value.row<float>(row));
      }
    }
  });
  ++table_.weight.version;
}

}  // namespace unha
