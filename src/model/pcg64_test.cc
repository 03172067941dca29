// SPDX-License-Identifier: Apache-2.0
#include "model/pcg64.h"

#include <gtest/gtest.h>

#include <vector>

namespace unha {
namespace {

struct Case {
  uint64_t seed;
  uint64_t state_high, state_low, increment_high, increment_low;
  std::vector<uint64_t> first;
};

TEST(Pcg64, EqualsNumpy) {
  const Case cases[] = {
      {0,
       0x1aa1b5345996452d,
       0x09585eb7a69561e3,
       0x418ddadb3af71a82,
       0x588133bc447873a9,
       {11749869230777074271u, 4976686463289251617u, 755828109848996024u}},
      {10007,
       0x3b34af7676e8ddd5,
       0x556a026c98a77d27,
       0xabf2e5bd90d31c92,
       0xfaf3d75d79e291bd,
       {15187255322829266483u, 959186003677246517u, 7126631698937927467u, 14663106486854050627u}},
      {140098,
       0x081481950b65ad0c,
       0x830c0440d514199b,
       0xa2aba4c6f16d7569,
       0x3f3c93becdfe390b,
       {13420388419549774097u, 10208617735032736636u, 6128116274024149523u, 16373808781820707998u}},
      {150105,
       0xf0ccf291151d98f4,
       0x9247ba0780aac5d0,
       0x22399eac7a2534ab,
       0x1712ef6e70ee2e35,
       {5731302735937527132u, 11102341020473763372u, 10687872321234204531u}},
  };
  for (const Case& c : cases) {
    Pcg64 rng(c.seed);
    EXPECT_TRUE(rng.state() == (static_cast<uint128>(c.state_high) << 64 | c.state_low)) << c.seed;
    EXPECT_TRUE(rng.increment() == (static_cast<uint128>(c.increment_high) << 64 | c.increment_low)) << c.seed;
    for (uint64_t expected : c.first) EXPECT_EQ(rng.next(), expected) << c.seed;
  }
}

TEST(Pcg64, DrawsStayBelowTheBound) {
  Pcg64 rng(7);
  uint64_t bound = (uint64_t{1} << 63) + 5;  // nearly every second draw is rejected
  for (int i = 0; i < 1000; ++i) EXPECT_LT(rng.below(bound), bound);
}

}  // namespace
}  // namespace unha
