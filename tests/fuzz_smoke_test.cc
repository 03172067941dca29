// SPDX-License-Identifier: Apache-2.0
// A short run of the fuzz targets without a fuzzer: their seeds, and seeds with a few bytes changed. Equal runs do the
// same. The real thing: cmake --preset fuzz, then fuzz_NAME fuzz/corpus/NAME.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/rng.h"

#define LLVMFuzzerTestOneInput fuzz_tokenizer
#include "../fuzz/tokenizer_fuzz.cc"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_safetensors
#include "../fuzz/safetensors_fuzz.cc"
#undef LLVMFuzzerTestOneInput

namespace unha {
namespace {

std::vector<std::string> seeds(const std::string& name) {
  std::vector<std::filesystem::path> files;
  std::filesystem::path folder = std::filesystem::path(UNHA_SOURCE_DIR) / "fuzz" / "corpus" / name;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> texts;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return texts;
}

void change(std::string& text, Rng& rng) {
  for (int64_t edits = rng.between(1, 4); edits > 0 && !text.empty(); --edits) {
    auto at = static_cast<size_t>(rng.below(text.size()));
    auto some = static_cast<size_t>(rng.between(1, 8));
    switch (rng.below(4)) {
      case 0:
        text[at] = static_cast<char>(rng.below(256));
        break;
      case 1:
        text.erase(at, some);
        break;
      case 2:
        text.insert(at, text.substr(static_cast<size_t>(rng.below(text.size())), some));
        break;
      default:
        text[at] = static_cast<char>(text[at] ^ (1 << rng.below(8)));
        break;
    }
  }
}

void run(const std::string& name, int (*target)(const uint8_t*, size_t), int rounds) {
  std::vector<std::string> texts = seeds(name);
  ASSERT_FALSE(texts.empty());
  Rng rng(1, Purpose::kTest, 0);
  for (int round = 0; round < rounds; ++round) {
    for (const std::string& seed : texts) {
      std::string text = seed;
      if (round > 0) change(text, rng);
      target(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    }
  }
}

TEST(FuzzSmoke, TokenizerFilesAreReadOrRefused) { run("tokenizer", fuzz_tokenizer, 300); }
TEST(FuzzSmoke, SafetensorsFilesAreReadOrRefused) { run("safetensors", fuzz_safetensors, 2000); }

}  // namespace
}  // namespace unha
