// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/rng.h"
#include "io/faulty_file_system.h"
#include "io/test_dir.h"

namespace unha {
namespace {

std::string container(const std::string& header, const std::string& data) {
  uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + data;
}

SafetensorsContent parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file.data(), file.size())), "x.safetensors");
}

void expect_corrupt(const std::string& header, const std::string& data, const std::string& part) {
  expect_error(ErrorCode::kCorrupt, part, [&] { parse(container(header, data)); });
  expect_error(ErrorCode::kCorrupt, "x.safetensors", [&] { parse(container(header, data)); });
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, WrittenTensorsAreReadBack) {
  TestDir dir;
  std::vector<float> a = {1, 2, 3, 4, 5, 6};
  std::vector<uint16_t> b = {1, 2, 3};
  std::string digest = write_safetensors(
      dir / "m.safetensors",
      {{"b \"quoted\" \n", DType::kBF16, {3}, b.data(), {}},
       {"a", DType::kF32, {2, 3}, a.data(), {}},
       {"zero", DType::kF32, {0, 4}, nullptr, {}},
       {"scalar", DType::kI64, {}, nullptr, [](int64_t, int64_t, std::byte* out) { std::memset(out, 1, 8); }}});
  EXPECT_EQ(digest, Sha256::of(read_file(dir / "m.safetensors")));
  SafetensorsFile file = SafetensorsFile::open(dir / "m.safetensors");
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  const TensorInfo* info = file.find("a");
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(info->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(info->elements(), 6);
  EXPECT_EQ(std::memcmp(info->data, a.data(), 24), 0);
  EXPECT_EQ(file.find("b \"quoted\" \n")->bytes, 6);
  EXPECT_EQ(file.find("scalar")->shape.size(), 0u);
  EXPECT_EQ(file.find("scalar")->bytes, 8);
  EXPECT_EQ(file.find("zero")->bytes, 0);
  EXPECT_EQ(file.find("none"), nullptr);
}

TEST(Safetensors, BytesDependOnContentOnlyAndTensorsAreAligned) {
  TestDir dir;
  std::vector<float> a = {1, 2, 3};
  std::vector<uint16_t> b = {7};
  TensorSource first{"z", DType::kF32, {3}, a.data(), {}};
  TensorSource second{"a", DType::kBF16, {1}, b.data(), {}};
  TensorSource by_fill{"z", DType::kF32, {3}, nullptr, [&](int64_t begin, int64_t count, std::byte* out) {
                         std::memcpy(out, a.data() + begin, static_cast<size_t>(count) * 4);
                       }};
  write_safetensors(dir / "1", {first, second});
  write_safetensors(dir / "2", {second, by_fill});
  EXPECT_EQ(read_file(dir / "1"), read_file(dir / "2"));
  SafetensorsFile file = SafetensorsFile::open(dir / "1");
  uint64_t header = 0;
  std::memcpy(&header, file.bytes().data(), 8);
  EXPECT_EQ(header % 8, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.find("z")->data) % 8, 0u);
}

TEST(Safetensors, ATensorIsFilledInPieces) {
  TestDir dir;
  int64_t n = 200'001;
  int calls = 0;
  write_safetensors(dir / "m", {{"a", DType::kI32, {n}, nullptr, [&](int64_t begin, int64_t count, std::byte* out) {
                                   ++calls;
                                   for (int64_t i = 0; i < count; ++i) {
                                     auto value = static_cast<int32_t>(begin + i);
                                     std::memcpy(out + 4 * i, &value, 4);
                                   }
                                 }}});
  EXPECT_GT(calls, 1);
  SafetensorsFile file = SafetensorsFile::open(dir / "m");
  for (int64_t i = 0; i < n; ++i) {
    int32_t value = 0;
    std::memcpy(&value, file.find("a")->data + 4 * i, 4);
    ASSERT_EQ(value, i);
  }
}

TEST(Safetensors, AFullDiskLeavesNothing) {
  TestDir dir;
  std::vector<float> a(1000, 1.0f);
  PosixFileSystem posix;
  FaultyFileSystem fs(posix, {.disk_bytes = 2000});
  expect_error(ErrorCode::kResource, "No space left", [&] {
    write_safetensors(fs, dir / "m", {{"a", DType::kF32, {1000}, a.data(), {}}});
  });
  EXPECT_EQ(dir.entries(), 0);
}

TEST(Safetensors, HeaderLengthsAreChecked) {
  expect_error(ErrorCode::kCorrupt, "at least 8 bytes", [] { parse("1234567"); });
  for (uint64_t size : {uint64_t{3}, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    std::string file = std::string(reinterpret_cast<const char*>(&size), 8) + "{}";
    expect_error(ErrorCode::kCorrupt, "cut short", [&] { parse(file); });
  }
  EXPECT_TRUE(parse(container("{}", "")).tensors.empty());
  EXPECT_TRUE(parse(container("{}   \n", "")).tensors.empty());
}

TEST(Safetensors, HeadersThatAreNotTheFormatAreRefused) {
  expect_corrupt("", "", "does not begin");
  expect_corrupt(" {}", "", "does not begin");
  expect_corrupt("[]", "", "does not begin");
  expect_corrupt("{", "", "not valid JSON");
  expect_corrupt("{}{}", "", "not valid JSON");
  expect_corrupt(std::string("{}\0", 3), "", "NUL");
  expect_corrupt("{\"\xff\":1}", "", "not valid JSON");
  expect_corrupt("{\"a\":null}", "", "tensor \"a\": expected an object, found null");
  expect_corrupt("{" + entry("a", "U8", "[1]", "[0,1]") + ",}", "x", "not valid JSON");
  expect_corrupt("{\"a\":" + std::string(100'000, '['), "", "found a list");
  expect_corrupt(R"({"__metadata__":{"a":{}}})", "", "\"a\" must be a string, found an object");
  expect_corrupt(R"({"__metadata__":{"a":"b","a":"c"}})", "", "twice");
  expect_corrupt(R"({"__metadata__":{},"__metadata__":{}})", "", "twice");
}

TEST(Safetensors, EntriesAreChecked) {
  auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return "{" + entry("w\\u0061", dtype, shape, offsets) + "}";
  };
  EXPECT_EQ(parse(container(one("F32", "[2]", "[0,8]"), "12345678")).tensors.at("wa").bytes, 8);
  expect_corrupt(one("F31", "[2]", "[0,8]"), "12345678", "tensor \"wa\": unknown dtype \"F31\"");
  expect_error(ErrorCode::kUnsupported, "U64", [&] { parse(container(one("U64", "[1]", "[0,8]"), "12345678")); });
  expect_corrupt(one("F32", "[-2]", "[0,8]"), "12345678", "found a negative number");
  expect_corrupt(one("F32", "[2.0]", "[0,8]"), "12345678", "found the number 2.0");
  expect_corrupt(one("F32", "\"2\"", "[0,8]"), "12345678", "shape must be a list");
  expect_corrupt(one("F32", "[3]", "[0,8]"), "12345678", "F32 of shape [3] needs 12 bytes");
  expect_corrupt(one("U8", "[4294967296,4294967297]", "[0,4]"), "1234", "more than 2^63");
  expect_corrupt(one("F32", "[4611686018427387905]", "[0,4]"), "1234", "more than 2^63");
  expect_corrupt(one("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), "1", "too many dimensions");
  expect_corrupt(one("F32", "[2]", "[8,0]"), "12345678", "not a range");
  expect_corrupt(one("F32", "[2]", "[0,9]"), "12345678", "not a range");
  expect_corrupt(one("F32", "[2]", "[18446744073709551608,18446744073709551615]"), "12345678", "not a range");
  expect_corrupt(one("F32", "[2]", "[0,1000000000000000000000000000000]"), "12345678", "whole numbers");
  expect_corrupt(one("F32", "[2]", "[0]"), "12345678", "found 1");
  expect_corrupt(one("F32", "[2]", "[0,4,8]"), "12345678", "found more");
  expect_corrupt(one("F32", "[1]", "[4,8]"), "12345678", "a hole");
  expect_corrupt(one("F32", "[1]", "[0,4]"), "12345678", "4 bytes after the last tensor");
  expect_corrupt(R"({"a":{"dtype":"U8","shape":[1]}})", "1", "no data_offsets");
  expect_corrupt(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "1", "no shape");
  expect_corrupt(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "1", "no dtype");
  expect_corrupt(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "1", "twice");
  expect_corrupt(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", "1", "unknown key");
}

TEST(Safetensors, TensorsTileTheData) {
  auto two = [](const std::string& a, const std::string& b, const std::string& name = "b") {
    return "{" + entry("a", "U8", "[4]", a) + "," + entry(name, "U8", "[4]", b) + "}";
  };
  EXPECT_EQ(parse(container(two("[4,8]", "[0,4]"), "12345678")).tensors.size(), 2u);
  expect_corrupt(two("[0,4]", "[0,4]"), "1234", "overlap");
  expect_corrupt(two("[0,4]", "[2,6]"), "123456", "overlap");
  expect_corrupt(two("[0,4]", "[5,9]"), "123456789", "a hole");
  expect_corrupt(two("[0,4]", "[4,8]", "a"), "12345678", "tensor \"a\": twice");
  std::string with_empty = "{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("e", "U8", "[0]", "[2,2]") + "}";
  expect_corrupt(with_empty, "1234", "overlap");
}

// A short run of what fuzz/safetensors_fuzz.cc does at length: whatever is changed in a file, the tensors that come out
// lie inside it.
TEST(Safetensors, DamagedFilesAreRefusedOrStayInside) {
  std::string seed = container("{" + entry("a", "F32", "[2,2]", "[0,16]") + "," + entry("b", "U8", "[3]", "[16,19]") +
                                   R"(,"__metadata__":{"format":"pt"}})",
                               std::string(19, 'x'));
  const std::string alphabet = "0123456789{}[]\",:-.eE \\u\xff";
  Rng rng(1, Purpose::kTest, 0);
  int opened = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string file = seed;
    for (int64_t change = rng.between(1, 3); change > 0; --change) {
      size_t at = rng.below(file.size());
      int64_t kind = rng.between(0, 3);
      if (kind == 0) file[at] = static_cast<char>(rng.below(256));
      if (kind == 1) file[at] = alphabet[rng.below(alphabet.size())];
      if (kind == 2) file.erase(at, rng.below(8));
      if (kind == 3) file.insert(at, file.substr(rng.below(file.size()), rng.below(8)));
    }
    std::span<const std::byte> bytes = std::as_bytes(std::span(file.data(), file.size()));
    try {
      for (const auto& [name, info] : parse_safetensors(bytes, "x").tensors) {
        ASSERT_GE(info.data, bytes.data() + 8);
        ASSERT_LE(info.data + info.bytes, bytes.data() + bytes.size());
      }
      ++opened;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(opened, 10);
}

// The safetensors files of every golden case, and the directories made to be refused.
TEST(Safetensors, GoldenFilesOpen) {
  std::string shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "no ../shared";
  int opened = 0;
  for (const auto& item : std::filesystem::recursive_directory_iterator(shared + "/goldens")) {
    if (item.path().extension() != ".safetensors" || item.path().string().find("/bad-") != std::string::npos) continue;
    try {
      EXPECT_FALSE(SafetensorsFile::open(item.path()).tensors().empty()) << item.path();
      ++opened;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.message();
    }
  }
  EXPECT_GT(opened, 40);
}

}  // namespace
}  // namespace unha
