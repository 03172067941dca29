// SPDX-License-Identifier: Apache-2.0
#include "ops/linear.h"

#include <gtest/gtest.h>

#include "ops/grad_check.h"

namespace unha {
namespace {

TEST(Linear, GradientsAgreeWithCentralDifferences) {
  for (int64_t K : {1, 5, 33}) {
    GradCheck check;
    check.input(7, K);
    auto w = check.weight(35, K);
    auto b = check.weight(1, 35);
    check.run([&](Ctx& ctx, const std::vector<Tensor>& in) {
      return ops::linear(ctx, in[0], check.weight_at(w), &check.weight_at(b));
    });
  }
}

}  // namespace
}  // namespace unha
