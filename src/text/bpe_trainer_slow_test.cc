// SPDX-License-Identifier: Apache-2.0
// Reproduces shared/tokenizers/tiny-bpe from its text, the Debian FAQ in four languages, fetched as Debian packages.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/json.h"
#include "base/sha256.h"
#include "text/bpe_trainer.h"
#include "text/read_file.h"
#include "text/test_shared.h"

namespace unha {
namespace {

TEST(BpeTrainer, ReproducesEveryMergeOfTheGoldenTokenizer) {
  std::filesystem::path golden_folder = shared_folder() / "tokenizers" / "tiny-bpe";
  if (!std::filesystem::exists(golden_folder)) GTEST_SKIP() << golden_folder << " is absent";
  Json golden = parse_json(read_whole_file(golden_folder / "golden.json"), "golden.json")["training"];

  std::string folder = testing::TempDir() + "unha-debian-faq";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  Threads threads(2);
  BpeTrainer trainer(threads);
  for (const Json& item : golden["text"]) {
    auto package = item["debian_package"].get<std::string>();
    auto file = item["file"].get<std::string>();
    std::string command = "cd '" + folder + "' && timeout 60 apt-get -qq download " + package +
                          " >/dev/null 2>&1 && dpkg-deb --fsys-tarfile " + package + "_*.deb | tar -xO './" + file +
                          "' | gzip -dc > " + package + ".txt";
    if (std::system(command.c_str()) != 0) GTEST_SKIP() << "cannot fetch the Debian package " << package;
    std::string text = read_whole_file(folder + "/" + package + ".txt");
    if (Sha256::of(text) != item["sha256_uncompressed"]) {
      GTEST_SKIP() << package << " holds another text than version " << item["version"];
    }
    trainer.add_text(text, package);
  }
  Json trained = parse_json(trainer.train(golden["vocab_size"].get<int64_t>()), "trained");
  Json expected = parse_json(read_whole_file(golden_folder / "tokenizer.json"), "tokenizer.json");
  EXPECT_EQ(trained["model"]["merges"].size(), 1732u);
  EXPECT_EQ(trained["model"]["merges"], expected["model"]["merges"]);
  EXPECT_EQ(trained.dump(), expected.dump());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace unha
