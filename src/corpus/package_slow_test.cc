// SPDX-License-Identifier: Apache-2.0
// The one test that really fetches packages (0.7 MB); a loud skip where apt is absent or offline.
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "corpus/build.h"
#include "corpus/package.h"
#include "io/file.h"
#include "io/test_dir.h"

namespace unha::corpus {
namespace {
namespace fs = std::filesystem;

void write_input(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

BuildResult build(const TestDir& dir, const std::string& out) {
  BuildOptions options;
  options.out = out;
  return build_corpus(load_recipe(dir / "recipe.json"), options);
}

TEST(Package, TwoSmallOnesAreDownloadedAndExtracted) {
  TestDir dir;
  write_input(dir / "recipe.json",
              R"({"name":"net","sources":[
    {"name":"elements","kind":"package","package":"dict-elements","extract":"dictd","license":"public domain"},
    {"name":"jargon","kind":"package","package":"dict-jargon","extract":"dictd","license":"public domain"},
    {"name":"facts","kind":"facts","task":"element","license":"public domain","eval":10}]})");
  try {
    PackageCache((fs::path(dir / "probe"))).fetch("dict-elements");
  } catch (const Error& error) {
    GTEST_SKIP() << "no packages here: " << error.message();
  }
  BuildResult result = build(dir, dir / "out");
  EXPECT_GT(result.sources[0].documents, 100);
  EXPECT_GT(result.sources[1].documents, 2000);
  EXPECT_GT(result.sources[2].chats, 500);
  EXPECT_NE(read_file(dir / "out/text/elements.txt").find("Atomic number: 79"), std::string::npos);
  EXPECT_EQ(build(dir, dir / "out").digest, result.digest);  // from the cache
  expect_error(ErrorCode::kNotFound, "apt-get update",
               [&] { PackageCache(fs::path(dir / "probe")).fetch("no-such-package-here"); });
}

}  // namespace
}  // namespace unha::corpus
