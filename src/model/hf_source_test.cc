// SPDX-License-Identifier: Apache-2.0
#include "model/hf_source.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>

#include "io/test_dir.h"
#include "model/generations.h"

namespace unha {
namespace {

// A folder of safetensors, filled tensor by tensor with bytes that count up.
class HfSource : public testing::Test {
 protected:
  void put(const std::string& name, DType dtype, std::vector<int64_t> shape) {
    int64_t bytes = dtype_bytes(dtype);
    for (int64_t size : shape) bytes *= size;
    auto& data = memory_.emplace_back(static_cast<size_t>(bytes));
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i % 100);
    tensors_.push_back({name, dtype, std::move(shape), data.data(), {}});
  }
  void write(const std::string& file = "model.safetensors") {
    write_safetensors(dir_ / file, std::move(tensors_));
    tensors_.clear();
  }
  void config(const std::string& text) { write_file_atomic(dir_ / "config.json", text); }
  std::shared_ptr<const ModelSource> open() { return open_source(dir_.path()); }

  TestDir dir_;
  std::deque<std::vector<std::byte>> memory_;
  std::vector<TensorSource> tensors_;
};

TEST_F(HfSource, ShowsEveryFloatTypeWithItsShapeAndFile) {
  put("a", DType::kF32, {3, 2, 4});
  put("b", DType::kBF16, {5});
  put("c", DType::kF16, {2, 3});
  put("d", DType::kF64, {2, 3});
  write();
  auto source = open();
  ASSERT_EQ(source->tensors().size(), 4U);
  const SourceTensor* a = source->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (std::vector<int64_t>{3, 2, 4}));
  EXPECT_EQ(a->matrix.rows, 3);
  EXPECT_EQ(a->matrix.cols, 8);
  EXPECT_EQ(a->matrix.row_bytes, 32);
  EXPECT_EQ(a->bytes, 96);
  EXPECT_EQ(a->file, dir_ / "model.safetensors");
  EXPECT_EQ(a->problem, "");
  EXPECT_EQ(source->find("b")->matrix.rows, 1);
  EXPECT_EQ(source->find("b")->matrix.cols, 5);
  EXPECT_EQ(source->find("b")->matrix.format, Format::kBF16);
  EXPECT_EQ(source->find("c")->matrix.format, Format::kF16);
  EXPECT_EQ(source->find("d")->matrix.format, Format::kF64);
  EXPECT_EQ(source->find("e"), nullptr);
}

TEST_F(HfSource, WhatIsNoFloatIsThereButNoWeight) {
  put("ids", DType::kI64, {4});
  write();
  EXPECT_NE(open()->find("ids")->problem.find("I64"), std::string::npos);
}

TEST_F(HfSource, Fp8TakesItsScalesFromAnotherShard) {
  put("w.weight", DType::kF8E4M3, {130, 257});
  write("model-00001-of-00002.safetensors");
  put("w.weight_scale_inv", DType::kF32, {2, 3});
  write("model-00002-of-00002.safetensors");
  write_file_atomic(dir_ / "model.safetensors.index.json",
                    R"({"weight_map": {"w.weight": "model-00001-of-00002.safetensors",
                                       "w.weight_scale_inv": "model-00002-of-00002.safetensors"}})");
  auto source = open();
  ASSERT_EQ(source->tensors().size(), 1U);  // the scales are no tensor of their own
  EXPECT_EQ(source->find("w.weight_scale_inv"), nullptr);
  const SourceTensor* w = source->find("w.weight");
  EXPECT_EQ(w->problem, "");
  EXPECT_EQ(w->bytes, 130 * 257 + 6 * 4);
  const StoredMatrix& m = w->matrix;
  EXPECT_EQ(m.scales.block_rows, 128);
  EXPECT_EQ(m.scales.block_cols, 128);
  EXPECT_EQ(m.scales.cols, 3);
  float scale = 0, value = 0;
  std::memcpy(&scale, source->checkpoint()->find("w.weight_scale_inv")->data + 5 * 4, 4);  // block [1, 2]
  m.widen(129, 256, 1, &value);
  StoredMatrix plain = m;
  plain.scales = {};
  float number = 0;
  plain.widen(129, 256, 1, &number);
  EXPECT_EQ(value, number * scale);
}

TEST_F(HfSource, BlocksHaveTheConfigsSize) {
  config(R"({"quantization_config": {"weight_block_size": [64, 32]}})");
  put("w.weight", DType::kF8E4M3, {65, 64});
  put("w.weight_scale_inv", DType::kF8E8M0, {2, 2});
  put("v.weight", DType::kF8E4M3, {1, 1});
  put("v.weight_scale_inv", DType::kBF16, {1, 1});
  write();
  auto source = open();
  EXPECT_EQ(source->find("w.weight")->problem, "");
  EXPECT_EQ(source->find("w.weight")->matrix.scales.block_rows, 64);
  EXPECT_EQ(source->find("w.weight")->matrix.scales.block_cols, 32);
  EXPECT_EQ(source->find("w.weight")->matrix.scales.dtype, DType::kF8E8M0);
  EXPECT_EQ(source->find("v.weight")->matrix.scales.dtype, DType::kBF16);
  for (const char* size :
       {"[0, 128]", "[128]", "128", "[128, -1]", "[1e3, 2]", "[128, \"x\"]", "[18446744073709551615, 1]"}) {
    config(std::string(R"({"quantization_config": {"weight_block_size": )") + size + "}}");
    expect_error(ErrorCode::kInvalidArgument, "weight_block_size", [&] { open(); });
  }
}

TEST_F(HfSource, ScalesThatAreMissingOrDoNotFitAreNamed) {
  put("missing.weight", DType::kF8E4M3, {4, 4});
  put("shape.weight", DType::kF8E4M3, {129, 4});
  put("shape.weight_scale_inv", DType::kF32, {1, 1});
  put("type.weight", DType::kF8E4M3, {4, 4});
  put("type.weight_scale_inv", DType::kF16, {1, 1});
  put("rank.weight", DType::kF8E4M3, {2, 4, 4});
  put("rank.weight_scale_inv", DType::kF32, {2, 1});
  put("plain.weight", DType::kBF16, {4, 4});
  put("plain.weight_scale_inv", DType::kF32, {1, 1});
  write();
  auto source = open();
  EXPECT_EQ(source->find("missing.weight")->problem, "its scales missing.weight_scale_inv are missing");
  EXPECT_EQ(source->find("shape.weight")->problem, "its scales shape.weight_scale_inv: expected [2, 1], found [1, 1]");
  EXPECT_EQ(source->find("type.weight")->problem,
            "its scales type.weight_scale_inv: expected F32, BF16 or F8_E8M0, found F16");
  EXPECT_NE(source->find("rank.weight")->problem.find("[2, 4, 4]"), std::string::npos);
  // Scales of what is no FP8 are a tensor like any other: one that nobody asks for.
  EXPECT_NE(source->find("plain.weight_scale_inv"), nullptr);
}

TEST_F(HfSource, FilesInFoldersOfItAreRead) {
  put("a", DType::kF32, {1});
  write();
  std::filesystem::create_directory(dir_ / "encoding");
  write_file_atomic(dir_ / "encoding/encoding_dsv32.py", "x = 1\n");
  auto source = open();
  ASSERT_TRUE(source->has_file("encoding/encoding_dsv32.py"));
  EXPECT_EQ(source->read_text("encoding/encoding_dsv32.py"), "x = 1\n");
  EXPECT_FALSE(source->has_file("encoding/other.py"));
  expect_error(ErrorCode::kNotFound, "encoding/other.py", [&] { source->read_text("encoding/other.py"); });
}

TEST_F(HfSource, MissingShardsAreAllNamed) {
  put("a", DType::kF32, {1});
  write("one.safetensors");
  write_file_atomic(dir_ / "model.safetensors.index.json",
                    R"({"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "three.safetensors"}})");
  for (const char* shard : {"two.safetensors", "three.safetensors", "2 of its 3"}) {
    expect_error(ErrorCode::kNotFound, shard, [&] { open(); });
  }
}

// Before anything is built for them: a hundred thousand layers would take a gigabyte.
TEST_F(HfSource, AConfigThatPromisesMoreThanIsThereIsRefusedAtOnce) {
  put("model.layers.0.a", DType::kF32, {1});
  put("model.layers.1.a", DType::kF32, {1});
  put("model.norm.weight", DType::kF32, {1});
  write();
  struct Case {
    const char* config;
    bool fits;
  };
  for (const Case& c : {Case{R"({"num_hidden_layers": 3})", true}, Case{R"({"num_hidden_layers": 4})", false},
                        Case{R"({"num_hidden_layers": 3, "n_routed_experts": 1})", true},
                        Case{R"({"num_hidden_layers": 3, "n_routed_experts": 2})", false},
                        Case{R"({"num_hidden_layers": 3, "n_routed_experts": 3, "first_k_dense_replace": 2})", true},
                        Case{R"({"num_hidden_layers": 3, "n_routed_experts": 3, "moe_layer_freq": 2})", false},
                        Case{R"({"num_hidden_layers": 3, "n_routed_experts": null, "moe_layer_freq": 0})", true},
                        Case{R"({"num_hidden_layers": 3, "n_routed_experts": 9223372036854775807})", false},
                        Case{R"({"num_hidden_layers": "3"})", true}}) {
    config(c.config);
    auto source = open();
    if (c.fits) {
      EXPECT_TRUE(read_model_config(*source).is_object()) << c.config;
    } else {
      expect_error(ErrorCode::kCorrupt, "only 3 tensors are there", [&] { read_model_config(*source); });
    }
  }
}

}  // namespace
}  // namespace unha
