// SPDX-License-Identifier: Apache-2.0
#include "train/row_adam.h"

#include <cmath>

#include "base/exact_math.h"

namespace unha {

namespace {

constexpr int64_t kRowGrain = 128;

kernels::RowAdamFactors<float> factors(const RowAdamConfig& c, int64_t step, double learning_rate, float grad_scale) {
  auto t = static_cast<double>(step);
  double correction1 = 1 - exact::pow(c.beta1, t), correction2 = 1 - exact::pow(c.beta2, t);
  kernels::RowAdamFactors<float> f{};
  f.grad_scale = grad_scale;
  f.beta1 = static_cast<float>(c.beta1);
  f.rest1 = static_cast<float>(1 - c.beta1);
  f.beta2 = static_cast<float>(c.beta2);
  f.rest2 = static_cast<float>(1 - c.beta2);
  f.rate = static_cast<float>(learning_rate / correction1);
  f.root = static_cast<float>(1 / std::sqrt(correction2));
  f.eps = static_cast<float>(c.eps);
  return f;
}

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
    for (int64_t i = begin * D; i < end * D; ++i) {
      float master = master_[static_cast<size_t>(i)];
      if (value.dtype() == DType::kF32) {
        value.data<float>()[i] = master;
      } else {
        value.data<uint16_t>()[i] = f32_to_bf16(master);
      }
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
  auto f = factors(config_, step, learning_rate, grad_scale);
  bool bf16 = value.dtype() == DType::kBF16;
  ctx.threads.parallel_for(g.rows(), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t row = grad.rows()[static_cast<size_t>(i)];
      int64_t at = row * D;
      ctx.f32->engram.row_adam(f, g.row<float>(i), D, master_.data() + at, first_.data() + at, second_.data() + at,
                               bf16, value.bytes() + at * dtype_bytes(value.dtype()));
    }
  });
  ++table_.weight.version;
}

}  // namespace unha
