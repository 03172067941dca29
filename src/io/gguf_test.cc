// SPDX-License-Identifier: Apache-2.0
#include "io/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/json.h"
#include "io/gguf_builder.h"
#include "io/test_dir.h"

namespace unha {
namespace {

GgufContent parse(const std::string& file) {
  return parse_gguf(std::as_bytes(std::span(file.data(), file.size())), "x.gguf");
}

void expect_refused(const std::string& file, const std::string& part, ErrorCode code = ErrorCode::kCorrupt) {
  expect_error(code, part, [&] { parse(file); });
  expect_error(code, "x.gguf", [&] { parse(file); });
}

void expect_refused(const GgufBuilder& builder, const std::string& part, ErrorCode code = ErrorCode::kCorrupt) {
  expect_refused(builder.build(), part, code);
}

GgufBuilder small() {
  GgufBuilder builder;
  builder.string("general.architecture", "llama").u32("n", 7);
  builder.f32_tensor("a", {2, 3}, {1, 2, 3, 4, 5, 6});
  builder.tensor("b", {32, 1, 2}, 8, std::string(68, '\1'));  // Q8_0
  return builder;
}

TEST(Gguf, TensorsAndValuesAreViewsIntoTheFile) {
  for (uint32_t version : {2u, 3u}) {
    GgufBuilder builder = small();
    builder.version = version;
    builder.tail = "trailing";
    std::string file = builder.build();
    GgufContent content = parse(file);
    EXPECT_EQ(content.version, version);
    ASSERT_EQ(content.tensors.size(), 2u);
    const GgufTensor& a = content.tensors[0];
    EXPECT_EQ(a.name, "a");
    EXPECT_EQ(a.shape, (std::vector<int64_t>{3, 2}));
    EXPECT_EQ(a.bytes, 24);
    const char* data = reinterpret_cast<const char*>(a.data);
    ASSERT_TRUE(data > file.data() && data + a.bytes <= file.data() + file.size());
    EXPECT_EQ(std::string(data, 4), raw_bytes(1.0f));
    const GgufTensor& b = content.tensors[1];
    EXPECT_EQ(b.format, Format::kQ8_0);
    EXPECT_EQ(b.shape, (std::vector<int64_t>{2, 1, 32}));
    EXPECT_EQ(b.bytes, 68);
    EXPECT_EQ(b.data - a.data, 32);
    EXPECT_EQ(content.metadata.require_string("general.architecture"), "llama");
  }
}

TEST(Gguf, EveryCutIsAnError) {
  std::string file = small().build();
  for (size_t n = 0; n < file.size(); ++n) {
    std::string cut = file.substr(0, n);
    cut.shrink_to_fit();
    EXPECT_THROW(parse(cut), Error) << n;
  }
}

TEST(Gguf, Header) {
  expect_refused("", "does not begin with");
  expect_refused("GGU", "does not begin with");
  expect_refused(std::string(100, '\0'), "does not begin with");
  GgufBuilder builder;
  builder.version = 0;
  expect_refused(builder, "expected 2 or 3, found 0");
  builder.version = 1;
  expect_refused(builder, "expected 2 or 3, found 1", ErrorCode::kUnsupported);
  builder.version = 0x03000000;
  expect_refused(builder, "big-endian", ErrorCode::kUnsupported);
  for (uint64_t count : {uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 63, ~uint64_t{0}}) {
    GgufBuilder keys;
    keys.key_count = count;
    expect_refused(keys, "keys do not fit");
    GgufBuilder tensors;
    tensors.tensor_count = count;
    expect_refused(tensors, "tensors do not fit");
  }
  GgufBuilder more = small();
  more.key_count = 3;
  EXPECT_THROW(parse(more.build()), Error);
}

TEST(Gguf, Keys) {
  const uint64_t huge = uint64_t{1} << 62;
  expect_refused(GgufBuilder().u32("k", 1).u32("k", 1), "key \"k\": twice");
  expect_refused(GgufBuilder().u32("k\xff", 1), "not UTF-8 at byte 1");
  expect_refused(GgufBuilder().raw_key("k", 13, "12345678"), "unknown type 13");
  expect_refused(GgufBuilder().key("k", GgufType::kBool, "\2"), "0 or 1, found 2");
  expect_refused(GgufBuilder().array("k", GgufType::kBool, 2, "\1\2"), "0 or 1, found 2");
  expect_refused(GgufBuilder().key("k", GgufType::kString, raw_bytes(~uint64_t{0})), "18446744073709551615 bytes");
  expect_refused(GgufBuilder().array("k", GgufType::kU32, huge, "1234"), "values do not fit");
  expect_refused(GgufBuilder().array("k", GgufType::kString, huge, "12345678"), "values do not fit");
  expect_refused(GgufBuilder().array("k", GgufType::kU32, 100, "1234"), "values do not fit");
  expect_refused(GgufBuilder().array("k", GgufType::kArray, 1, std::string(40, '\0')), "array of arrays",
                 ErrorCode::kUnsupported);
  expect_refused(GgufBuilder().array("k", static_cast<GgufType>(77), 1, "12345678"), "unknown type 77");
}

TEST(Gguf, Alignment) {
  for (uint32_t alignment : {1u, 8u, 64u, 4096u}) {
    GgufBuilder builder = small();
    builder.u32("general.alignment", alignment);
    builder.alignment = alignment;
    EXPECT_EQ(parse(builder.build()).tensors[1].bytes, 68);
  }
  expect_refused(small().u32("general.alignment", 0), "power of two, found 0");
  expect_refused(small().u32("general.alignment", 20), "power of two, found 20");
  expect_refused(small().u32("general.alignment", 1u << 31), "not within the 0 bytes");
  expect_refused(small().string("general.alignment", "32"), "expected a U32, found string");
}

TEST(Gguf, TensorTable) {
  const uint64_t big = uint64_t{1} << 62;
  const std::string data(256, '\0');
  auto with = [&](std::vector<uint64_t> dims, uint32_t type, std::optional<uint64_t> offset = {}) {
    return GgufBuilder().tensor("t", std::move(dims), type, data, offset);
  };
  expect_refused(with({1}, 200), "tensor \"t\": unknown tensor type 200");
  expect_refused(with({1}, 4), "unknown tensor type 4");
  expect_refused(with({256}, 16), "type IQ2_XXS are not supported", ErrorCode::kUnsupported);
  expect_refused(with({1, 1, 1, 1, 1}, 0), "5 dimensions");
  expect_refused(with({1, ~uint64_t{0}}, 0), "a dimension of 18446744073709551615");
  expect_refused(with({16, big}, 0), "more than 2^63");
  expect_refused(with({big, 4}, 0), "more than 2^63");
  expect_refused(with({big + 3}, 0), "more than 2^63");
  expect_refused(with({0, big, 4}, 0), "more than 2^63");
  expect_refused(with({128, 2}, 12), "rows of 128 numbers are not whole blocks of 256 (Q4_K)");
  expect_refused(with({65}, 0), "its 260 bytes at offset 0 are not within");
  expect_refused(with({1}, 0, 8), "offset 8 is not a multiple of the alignment 32");
  expect_refused(with({1}, 0, 1024), "at offset 1024 are not within");
  expect_refused(with({1}, 0, ~uint64_t{0} - 31), "are not within");
  expect_refused(GgufBuilder().tensor(std::string(65, 'n'), {1}, 0, data), "a name of 65 bytes");
  expect_refused(GgufBuilder().tensor("n\x80", {1}, 0, data), "not UTF-8");
  expect_refused(with({1}, 0).tensor("t", {1}, 0, data), "tensor \"t\": twice");
  expect_refused(with({64}, 0, 0).tensor("u", {64}, 0, data, 0), "overlap those of tensor");
  expect_refused(with({64}, 0, 0).tensor("u", {8}, 0, data, 224), "overlap those of tensor \"t\"");
  // In another order than the table, with holes, a scalar and a tensor without data.
  GgufContent content = parse(with({8}, 0, 128)
                                  .tensor("u", {8}, 0, data, 0)
                                  .tensor("s", {}, 0, "1234", 512)
                                  .tensor("z", {4, 0}, 0, "", 0)
                                  .build());
  EXPECT_EQ(content.tensors[0].data - content.tensors[1].data, 128);
  EXPECT_EQ(content.tensors[2].bytes, 4);
  EXPECT_EQ(content.tensors[3].shape, (std::vector<int64_t>{0, 4}));
}

TEST(GgufMetadata, ValuesOfEveryType) {
  GgufBuilder builder;
  builder.key("u8", GgufType::kU8, raw_bytes<uint8_t>(255)).key("i8", GgufType::kI8, raw_bytes<int8_t>(-1));
  builder.key("u16", GgufType::kU16, raw_bytes<uint16_t>(65535)).key("i16", GgufType::kI16, raw_bytes<int16_t>(-2));
  builder.u32("u32", 4000000000u).key("i32", GgufType::kI32, raw_bytes<int32_t>(-3));
  builder.key("u64", GgufType::kU64, raw_bytes(~uint64_t{0})).key("i64", GgufType::kI64, raw_bytes<int64_t>(-4));
  builder.f32("f32", 1e-6f).key("f64", GgufType::kF64, raw_bytes(1.5)).boolean("yes", true).string("s", "\xE6\xBC\xA2");
  builder.strings("list", {"a", "", "b c"}).i32s("ints", {1, -2}).f32("inf", std::numeric_limits<float>::infinity());
  builder.f32("nan", std::nanf("")).string("bad", "\xff").strings("bads", {"x", "\xff"}).f32("seventh", 0.0707f);
  std::string file = builder.build();
  GgufMetadata m = parse(file).metadata;
  EXPECT_EQ(m.require_int("u8", 0, 255), 255);
  EXPECT_EQ(m.require_int("i8", -1, 0), -1);
  EXPECT_EQ(m.require_int("u16", 0, 65535), 65535);
  EXPECT_EQ(m.require_int("i16", -5, 5), -2);
  EXPECT_EQ(m.require_int("u32", 0, INT64_MAX), 4000000000);
  EXPECT_EQ(m.require_int("i32", -5, 5), -3);
  EXPECT_EQ(m.require_int("i64", -5, 5), -4);
  EXPECT_EQ(m.get_int("none", 9, 0, 1), 9);
  EXPECT_EQ(m.require_float("f32"), 1e-6);
  EXPECT_EQ(m.require_float("seventh"), 0.0707);
  EXPECT_EQ(m.require_float("f64"), 1.5);
  EXPECT_TRUE(m.get_bool("yes", false));
  EXPECT_TRUE(m.get_bool("none", true));
  EXPECT_EQ(m.require_string("s"), "\xE6\xBC\xA2");
  EXPECT_EQ(m.require_strings("list"), (std::vector<std::string_view>{"a", "", "b c"}));
  EXPECT_EQ(m.require_ints("ints"), (std::vector<int64_t>{1, -2}));

  auto refused = [&](const std::string& part, auto read) { expect_error(ErrorCode::kInvalidArgument, part, read); };
  refused("key \"u64\": expected a whole number from 0 to 9, found more than 2^63",
          [&] { m.require_int("u64", 0, 9); });
  refused("from 0 to 254, found 255", [&] { m.require_int("u8", 0, 254); });
  refused("expected a whole number, found F32", [&] { m.require_int("f32", 0, 9); });
  refused("expected a whole number, found bool", [&] { m.require_int("yes", 0, 9); });
  refused("expected a whole number, found string", [&] { m.require_int("s", 0, 9); });
  refused("expected a whole number, found an array of 2 I32", [&] { m.require_int("ints", 0, 9); });
  refused("expected a whole number, it is not there", [&] { m.require_int("none", 0, 9); });
  refused("expected a finite F32 or F64, found inf", [&] { m.require_float("inf"); });
  refused("found nan", [&] { m.require_float("nan"); });
  refused("found U32", [&] { m.require_float("u32"); });
  refused("expected a bool, found U8", [&] { m.get_bool("u8", true); });
  refused("expected a string, found U8", [&] { m.require_string("u8"); });
  refused("key \"bad\": not UTF-8", [&] { m.require_string("bad"); });
  refused("string 1 is not UTF-8", [&] { m.require_strings("bads"); });
  refused("expected an array of strings, found an array of 2 I32", [&] { m.require_strings("ints"); });
  refused("expected an array of whole numbers, found an array of 3 string", [&] { m.require_ints("list"); });
  refused("x.gguf", [&] { m.require_ints("none"); });
}

// Three files with one tensor each, or as a test wants them.
struct Split {
  TestDir dir;
  std::string path(int part, int of = 3) const { return dir / fmt::format("m-{:05}-of-{:05}.gguf", part, of); }
  void write(int part, uint16_t no, uint16_t count, const std::string& tensor, int32_t total = 3) const {
    GgufBuilder builder;
    builder.key("split.no", GgufType::kU16, raw_bytes(no)).key("split.count", GgufType::kU16, raw_bytes(count));
    builder.key("split.tensors.count", GgufType::kI32, raw_bytes(total));
    builder.f32_tensor(tensor, {1}, {static_cast<float>(part)});
    write_file_atomic(path(part), builder.build());
  }
  void write_all() const {
    for (int part = 1; part <= 3; ++part) write(part, static_cast<uint16_t>(part - 1), 3, fmt::format("t{}", part));
  }
};

TEST(GgufFiles, ASplitModelOpensByItsFirstFileOrItsDirectory) {
  Split split;
  split.write_all();
  for (const std::string& path : {split.path(1), split.dir.path(), split.dir.path() + "/"}) {
    std::vector<GgufFile> files = open_gguf_files(path);
    ASSERT_EQ(files.size(), 3u);
    EXPECT_EQ(files[2].tensors()[0].name, "t3");
  }
  expect_error(ErrorCode::kInvalidArgument, "name the first file: " + split.path(1),
               [&] { open_gguf_files(split.path(2)); });
}

TEST(GgufFiles, MissingAndContradictingPartsAreNamed) {
  Split split;
  split.write_all();
  split.write(2, 2, 3, "t2");
  expect_error(ErrorCode::kInvalidArgument, "key \"split.no\": expected 1, found 2",
               [&] { open_gguf_files(split.path(1)); });
  split.write(2, 1, 4, "t2");
  expect_error(ErrorCode::kInvalidArgument, "key \"split.count\": expected 3, found 4",
               [&] { open_gguf_files(split.path(1)); });
  split.write(2, 1, 3, "t1");
  expect_error(ErrorCode::kCorrupt, "tensor \"t1\": already in", [&] { open_gguf_files(split.path(1)); });
  split.write_all();
  split.write(1, 0, 3, "t1", 4);
  expect_error(ErrorCode::kInvalidArgument, "it says 4, the files hold 3", [&] { open_gguf_files(split.path(1)); });
  split.write(1, 0, 2, "t1");
  expect_error(ErrorCode::kInvalidArgument, "-00001-of-00002.gguf", [&] { open_gguf_files(split.path(1)); });
  std::filesystem::remove(split.path(1));
  std::filesystem::remove(split.path(3));
  expect_error(ErrorCode::kNotFound, "2 of 3 files are missing: m-00001-of-00003.gguf, m-00003-of-00003.gguf",
               [&] { open_gguf_files(split.dir.path()); });
}

TEST(GgufFiles, ADirectoryHoldsOneModel) {
  TestDir dir;
  expect_error(ErrorCode::kNotFound, "no *.gguf file", [&] { open_gguf_files(dir.path()); });
  write_file_atomic(dir / "a.gguf", small().build());
  write_file_atomic(dir / "notes.txt", "x");
  EXPECT_EQ(open_gguf_files(dir.path()).size(), 1u);
  write_file_atomic(dir / "b.gguf", small().build());
  expect_error(ErrorCode::kInvalidArgument, "2 models in this directory: a.gguf, b.gguf",
               [&] { open_gguf_files(dir.path()); });
  expect_error(ErrorCode::kNotFound, "none.gguf", [&] { open_gguf_files(dir / "none.gguf"); });
}

// The shared malformed files whose very structure is at fault, and the valid ones.
TEST(Gguf, SharedMalformedFilesAreRefusedAndValidOnesRead) {
  std::string folder = shared_dir() + "/goldens/gguf-bad/";
  if (!std::filesystem::exists(folder + "manifest.json"))
    GTEST_SKIP() << folder << " is not there (UNHA_SHARED names its parent)";
  Json manifest = parse_json(read_file(folder + "manifest.json"), "manifest.json");
  int refused = 0, read = 0;
  for (const auto& [name, entry] : manifest.items()) {
    if (!name.ends_with(".gguf")) continue;
    if (entry.at("valid").get<bool>()) {
      EXPECT_NO_THROW(open_gguf_files(folder + name)) << name;
      ++read;
      continue;
    }
    // A lenient one may be refused later or not at all; a shape that contradicts the metadata is a whole container.
    if (entry.at("level") != "container" || entry.contains("lenient")) continue;
    if (entry.at("what").get<std::string>().find("contradicts the metadata") != std::string::npos) continue;
    try {
      open_gguf_files(folder + name);
      ADD_FAILURE() << name << " was read: " << entry.at("what");
    } catch (const Error& error) {
      EXPECT_NE(error.message().find(name), std::string::npos) << error.message();
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(read, 8);
}

}  // namespace
}  // namespace unha
