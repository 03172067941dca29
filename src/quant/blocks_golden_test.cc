// SPDX-License-Identifier: Apache-2.0
// The shared gguf-blocks golden: blocks of every tensor type of GGUF and their values, bit for bit.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/threads.h"
#include "quant/stored_matrix.h"
#include "text/test_shared.h"

namespace unha {
namespace {

// The little of safetensors that a trusted file needs; io/ is this folder's sibling.
struct Golden {
  std::string file;
  Json header;
  size_t data = 0;

  explicit Golden(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    file.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof length);
    header = parse_json(file.substr(8, length), path.string());
    data = 8 + length;
  }
  const char* at(const std::string& name) const {
    return file.data() + data + header.at(name).at("data_offsets").at(0).get<size_t>();
  }
  int64_t size(const std::string& name, size_t dim) const { return header.at(name).at("shape").at(dim).get<int64_t>(); }
};

TEST(BlocksGolden, EveryTypeBitForBit) {
  std::filesystem::path path = shared_folder() / "goldens/gguf-blocks/golden.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there (UNHA_SHARED names its folder)";
  Golden golden(path);
  int types = 0;
  for (int f = 0; f < kFormats; ++f) {
    Format format = static_cast<Format>(f);
    std::string name(format_name(format));
    if (!golden.header.contains(name + ".blocks")) continue;
    ++types;
    int64_t blocks = golden.size(name + ".blocks", 0);
    ASSERT_EQ(golden.size(name + ".blocks", 1), format_block_bytes(format)) << name;
    ASSERT_EQ(golden.size(name + ".values", 1), format_block(format)) << name;
    int64_t cols = blocks * format_block(format);
    StoredMatrix m{reinterpret_cast<const std::byte*>(golden.at(name + ".blocks")),
                   format,
                   1,
                   cols,
                   format_row_bytes(format, cols),
                   {}};
    std::vector<float> values(static_cast<size_t>(cols));
    m.widen(0, 0, cols, values.data());
    EXPECT_EQ(std::memcmp(values.data(), golden.at(name + ".values"), values.size() * sizeof(float)), 0) << name;
  }
  EXPECT_EQ(types, 14);
}

}  // namespace
}  // namespace unha
