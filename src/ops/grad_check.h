// SPDX-License-Identifier: Apache-2.0
// Gradient check of an op in double: central differences against the tape, training.md section 6.1. For tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "ops/ctx.h"
#include "ops/weight.h"

namespace unha {

// Owns doubles for inputs and weights of one op under test.
class GradCheck {
 public:
  explicit GradCheck(uint64_t seed = 1, int threads = 2) : threads_(threads), seed_(seed) {}

  // A differentiable input [rows, cols], normal with deviation `scale` around `mean`.
  size_t input(int64_t rows, int64_t cols, double scale = 1, double mean = 0) {
    inputs_.push_back({random(rows * cols, scale, mean), rows, cols});
    return inputs_.size() - 1;
  }
  // A weight; take it with weight(i) in the function.
  size_t weight(int64_t rows, int64_t cols, double scale = 1, double mean = 0) {
    auto held = std::make_unique<Held>();
    held->value = random(rows * cols, scale, mean);
    held->grad.assign(held->value.size(), 0);
    held->weight.value = Tensor(held->value.data(), DType::kF64, rows, cols);
    held->weight.grad = Tensor(held->grad.data(), DType::kF64, rows, cols);
    weights_.push_back(std::move(held));
    return weights_.size() - 1;
  }
  Weight& weight_at(size_t i) { return weights_[i]->weight; }
  std::vector<double>& values_of_input(size_t i) { return inputs_[i].value; }
  std::vector<double>& values_of_weight(size_t i) { return weights_[i]->value; }

  using Function = std::function<Tensor(Ctx&, const std::vector<Tensor>&)>;

  // L = sum(w * f(inputs)) with fixed random w. Checks up to `entries` random entries per tensor:
  // |g - g_num| <= tolerance * max(1, |g|), h = 1e-5 max(1, |x|).
  void run(const Function& f, double tolerance = 1e-6, int entries = 64) {
    std::vector<std::vector<double>> grads;
    analytic(f, &grads);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      compare(f, inputs_[i].value, grads[i], "input " + std::to_string(i), tolerance, entries, nullptr);
    }
    for (size_t i = 0; i < weights_.size(); ++i) {
      auto& held = *weights_[i];
      auto grad = held.grad;
      compare(f, held.value, grad, "weight " + std::to_string(i), tolerance, entries, &held.weight);
    }
  }

  double loss(const Function& f) {
    Arena arena;
    Ctx ctx = make_ctx(arena, threads_, Numerics::kF64, Isa::kScalar);
    return weighted_sum(f(ctx, views(nullptr)));
  }

 private:
  struct Held {
    std::vector<double> value, grad;
    Weight weight;
  };
  struct Input {
    std::vector<double> value;
    int64_t rows, cols;
  };

  std::vector<double> random(int64_t n, double scale, double mean) {
    Rng rng(seed_, Purpose::kTest, stream_++);
    std::vector<double> v(static_cast<size_t>(n));
    for (size_t i = 0; i < v.size(); ++i) v[i] = mean + scale * rng.normal_at(i);
    return v;
  }
  std::vector<Tensor> views(Tape* tape) {
    std::vector<Tensor> result;
    for (auto& input : inputs_) {
      Tensor t(input.value.data(), DType::kF64, input.rows, input.cols);
      result.push_back(tape != nullptr ? tape->track(t) : t);
    }
    return result;
  }
  double factor(int64_t i) const { return Rng(seed_, Purpose::kTest, 1000).normal_at(static_cast<uint64_t>(i)); }
  double weighted_sum(const Tensor& y) const {
    double sum = 0;
    for (int64_t r = 0; r < y.rows(); ++r) {
      for (int64_t c = 0; c < y.cols(); ++c) sum += factor(r * y.cols() + c) * y.row<double>(r)[c];
    }
    return sum;
  }
  void analytic(const Function& f, std::vector<std::vector<double>>* grads) {
    Arena arena;
    Tape tape;
    Ctx ctx = make_ctx(arena, threads_, Numerics::kF64, Isa::kScalar);
    ctx.tape = &tape;
    for (auto& held : weights_) std::fill(held->grad.begin(), held->grad.end(), 0);
    auto inputs = views(&tape);
    grads->resize(inputs.size());
    tape.record("read input gradients", [&] {
      for (size_t i = 0; i < inputs.size(); ++i) {
        const double* g = tape.grad(inputs[i]).data<double>();
        (*grads)[i].assign(g, g + inputs[i].size());
      }
    });
    Tensor y = f(ctx, inputs);
    tape.record("seed", [&] {
      Tensor d_y = tape.grad(y);
      for (int64_t r = 0; r < y.rows(); ++r) {
        for (int64_t c = 0; c < y.cols(); ++c) d_y.row<double>(r)[c] += factor(r * y.cols() + c);
      }
    });
    tape.backward();
  }
  void compare(const Function& f, std::vector<double>& value, const std::vector<double>& grad, const std::string& name,
               double tolerance, int entries, Weight* weight) {
    Rng pick(seed_, Purpose::kTest, 2000);
    auto count = std::min<size_t>(value.size(), static_cast<size_t>(entries));
    for (size_t n = 0; n < count; ++n) {
      size_t i = count == value.size() ? n : pick.below(value.size());
      double x = value[i];
      double h = 1e-5 * std::max(1.0, std::fabs(x));
      auto at = [&](double v) {
        value[i] = v;
        if (weight != nullptr) ++weight->version;
        return loss(f);
      };
      double numeric = (at(x + h) - at(x - h)) / (2 * h);
      at(x);
      ASSERT_NEAR(grad[i], numeric, tolerance * std::max(1.0, std::fabs(grad[i]))) << name << " entry " << i;
    }
  }

  Threads threads_;
  uint64_t seed_;
  uint64_t stream_ = 0;
  std::vector<Input> inputs_;
  std::vector<std::unique_ptr<Held>> weights_;
};

}  // namespace unha
