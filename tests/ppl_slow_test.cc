// SPDX-License-Identifier: Apache-2.0
// The perplexity of a real small model against its float32 reference (../shared/models/README.md).
#include <gtest/gtest.h>

#include "cli_fixture.h"
#include "io/file.h"
#include "text/test_smollm.h"

namespace unha {
namespace {

class PplOfSmolLm2 : public CliTest {};

TEST_F(PplOfSmolLm2, IsThatOfTheReference) {
  std::string shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "../shared is not there: no real model was measured";
  std::string model = fetched_smollm();
  if (model.empty()) GTEST_SKIP() << "../shared/models/fetch failed (no network?): no real model was measured";
  Json reference =
      parse_json(read_file(shared + "/models/smollm2.json"), "smollm2.json")["perplexity"]["reference_float32"];
  const std::pair<const char*, double> classes[] = {{"f32", 1e-3}, {"auto", 5e-3}};
  for (const auto& [numerics, within] : classes) {
    Json found = json({"eval", "ppl", model, shared + "/models/ppl.txt", "--ctx", "512", "--numerics", numerics});
    EXPECT_NEAR(found["ppl"].get<double>() / reference["ppl"].get<double>(), 1, within) << numerics;
    EXPECT_EQ(found["tokens_scored"], 1275);
    ASSERT_EQ(found["chunks"].size(), reference["chunk_mean_nll"].size());
    for (size_t c = 0; numerics == std::string("f32") && c < found["chunks"].size(); ++c) {
      EXPECT_NEAR(found["chunks"][c].get<double>(), reference["chunk_mean_nll"][c].get<double>(), within) << c;
    }
  }
}

}  // namespace
}  // namespace unha
