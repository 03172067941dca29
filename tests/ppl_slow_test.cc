// SPDX-License-Identifier: Apache-2.0
// The perplexity of a real small model against its float32 reference (../shared/models/README.md).
#include <gtest/gtest.h>

#include <cstdio>

#include "cli_fixture.h"
#include "io/file.h"

namespace unha {
namespace {

// Runs a command; what it printed without the last line end, or nothing if it failed.
std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string out;
  char buffer[256];
  for (size_t n; (n = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) out.append(buffer, n);
  if (::pclose(pipe) != 0) return "";
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class PplOfSmolLm2 : public CliTest {};

TEST_F(PplOfSmolLm2, IsThatOfTheReference) {
  std::string shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "../shared is not there: no real model was measured";
  std::string model = output_of(shared + "/models/fetch");
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
