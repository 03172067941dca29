// SPDX-License-Identifier: Apache-2.0
// A short run of every fuzz target without libFuzzer: seeds of fuzz/corpus/NAME/, damaged in ways that come from a
// fixed stream of random numbers, so a failure repeats. CMake compiles each fuzz/NAME_fuzz.cc with its entry renamed to
// fuzz_NAME and lists them in fuzz_targets.inl. The real thing is preset fuzz (CONTRIBUTING.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/rng.h"

#define FUZZ_TARGET(name) extern "C" int fuzz_##name(const uint8_t* data, size_t size);
#include "fuzz_targets.inl"
#undef FUZZ_TARGET

namespace unha {
namespace {

struct Target {
  const char* name;
  int (*run)(const uint8_t* data, size_t size);
};
const Target kTargets[] = {
#define FUZZ_TARGET(name) {#name, fuzz_##name},
#include "fuzz_targets.inl"
#undef FUZZ_TARGET
};

constexpr int kRounds = 4000;
constexpr size_t kMaxBytes = 1 << 16;

using Bytes = std::vector<uint8_t>;

std::vector<Bytes> seeds_of(const std::string& name) {
  std::vector<std::filesystem::path> paths;
  std::filesystem::path folder = std::filesystem::path(UNHA_SOURCE_DIR) / "fuzz/corpus" / name;
  if (std::filesystem::exists(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> seeds;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return seeds;
}

// Numbers where size checks go wrong, as text and as bytes.
const char* const kNumbers[] = {
    "0",     "-1",   "1",    "255",  "65536", "2147483648", "4294967296", "9223372036854775807", "18446744073709551615",
    "1e308", "-0.0", "null", "\"\"", "[]",    "{}"};

void insert_at(Bytes& bytes, size_t at, const uint8_t* data, size_t size) {
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), data, data + size);
}

// Replaces the decimal digits around a place by another number.
void replace_number(Bytes& bytes, Rng& rng) {
  size_t at = rng.below(bytes.size());
  auto digit = [&](size_t i) { return bytes[i] >= '0' && bytes[i] <= '9'; };
  while (at < bytes.size() && !digit(at)) ++at;
  size_t end = at;
  while (end < bytes.size() && digit(end)) ++end;
  bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(end));
  std::string number = kNumbers[rng.below(std::size(kNumbers))];
  insert_at(bytes, at, reinterpret_cast<const uint8_t*>(number.data()), number.size());
}

void damage(Bytes& bytes, const std::vector<Bytes>& seeds, Rng& rng) {
  if (bytes.empty()) bytes.push_back(static_cast<uint8_t>(rng.below(256)));
  size_t at = rng.below(bytes.size());
  size_t length = 1 + rng.below(std::min<size_t>(bytes.size() - at, 32));
  auto from = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  switch (rng.below(7)) {
    case 0:
      bytes[at] ^= static_cast<uint8_t>(1u << rng.below(8));
      break;
    case 1:
      bytes[at] = static_cast<uint8_t>(rng.below(256));
      break;
    case 2:
      bytes.erase(from, from + static_cast<std::ptrdiff_t>(length));
      break;
    case 3:
      bytes.resize(at);
      break;
    case 4: {  // a piece twice
      Bytes piece(from, from + static_cast<std::ptrdiff_t>(length));
      insert_at(bytes, rng.below(bytes.size() + 1), piece.data(), piece.size());
      break;
    }
    case 5: {  // the tail of another seed
      const Bytes& other = seeds[rng.below(seeds.size())];
      bytes.resize(at);
      size_t cut = rng.below(other.size() + 1);
      bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(cut), other.end());
      break;
    }
    default:
      replace_number(bytes, rng);
  }
}

class FuzzSmoke : public testing::TestWithParam<Target> {};

TEST_P(FuzzSmoke, DamagedSeedsNeverBreakIt) {
  std::vector<Bytes> seeds = seeds_of(GetParam().name);
  ASSERT_FALSE(seeds.empty()) << "fuzz/corpus/" << GetParam().name << " has no seeds";
  for (const Bytes& seed : seeds) GetParam().run(seed.data(), seed.size());
  for (int round = 0; round < kRounds; ++round) {
    Rng rng(7, Purpose::kTest, static_cast<uint64_t>(round));
    Bytes bytes = seeds[rng.below(seeds.size())];
    for (uint64_t n = 1 + rng.below(4); n > 0; --n) damage(bytes, seeds, rng);
    if (bytes.size() > kMaxBytes) bytes.resize(kMaxBytes);
    bytes.shrink_to_fit();
    GetParam().run(bytes.data(), bytes.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzSmoke, testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace unha
