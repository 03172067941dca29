// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "kernels/kernels.h"

namespace unha {
namespace {

constexpr Isa kAll[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kAmx};

TEST(Isa, NamesGoBothWays) {
  for (Isa isa : kAll) EXPECT_EQ(isa_from_name(isa_name(isa)), isa);
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2, Numerics::kF64}) {
    EXPECT_EQ(numerics_from_name(numerics_name(numerics)), numerics);
  }
  EXPECT_FALSE(isa_from_name("sse9").has_value());
  EXPECT_FALSE(numerics_from_name("").has_value());
}

TEST(Isa, TiersAscendFromTheScalarOneWhichIsAlwaysThere) {
  auto have = available_isas();
  EXPECT_EQ(have.front(), Isa::kScalar);
  EXPECT_TRUE(std::is_sorted(have.begin(), have.end()));
  EXPECT_EQ(best_isa(), have.back());
}

TEST(Isa, ACeilingGivesTheBestTierUpToIt) {
  for (Isa isa : available_isas()) {
    Isa want = std::min(isa, Isa::kAvx512Bf16);  // there are no kernels in tiles
    EXPECT_EQ(kernels::kernels_for(isa).isa, want) << isa_name(isa);
  }
}

TEST(Isa, ATierThatTheMachineLacksIsAnErrorThatListsThoseItHas) {
  auto have = available_isas();
  for (Isa isa : kAll) {
    if (std::find(have.begin(), have.end(), isa) != have.end()) continue;
    try {
      kernels::kernels_for(isa);
      FAIL() << isa_name(isa);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kUsage);
      EXPECT_NE(e.message().find(isa_name(isa)), std::string::npos);
      EXPECT_NE(e.hint().find("scalar"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace unha
