// SPDX-License-Identifier: Apache-2.0
// How parameters are held: views where kernels can read them, else stored or owned, by role and class.
#include "model/params.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>

#include "io/test_dir.h"
#include "model/hf_source.h"

namespace unha {
namespace {

class Params : public testing::Test {
 protected:
  // Numbers that every format holds exactly.
  void put(const std::string& name, DType dtype, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    auto& data = memory_.emplace_back(static_cast<size_t>(count * dtype_bytes(dtype)));
    for (int64_t i = 0; i < count; ++i) {
      auto value = static_cast<float>(i % 16);
      std::byte* at = data.data() + i * dtype_bytes(dtype);
      auto wide = static_cast<double>(value);
      uint16_t half = dtype == DType::kBF16 ? f32_to_bf16(value) : kHalves[i % 16];
      const void* from = dtype == DType::kF64   ? static_cast<const void*>(&wide)
                         : dtype == DType::kF32 ? static_cast<const void*>(&value)
                                                : static_cast<const void*>(&half);
      std::memcpy(at, from, static_cast<size_t>(dtype_bytes(dtype)));
    }
    tensors_.push_back({name, dtype, std::move(shape), data.data(), {}});
  }
  std::shared_ptr<const ModelSource> source() {
    write_safetensors(dir_ / "model.safetensors", tensors_);
    return open_source(dir_.path());
  }
  std::string misfits(const std::shared_ptr<const ModelSource>& from) {
    try {
      store_.bind(from, Numerics::kF32);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      return error.message();
    }
    return "";
  }

  // f16 of 0 ... 15
  static constexpr uint16_t kHalves[16] = {0x0000, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700,
                                           0x4800, 0x4880, 0x4900, 0x4980, 0x4a00, 0x4a80, 0x4b00, 0x4b80};
  TestDir dir_;
  std::deque<std::vector<std::byte>> memory_;
  std::vector<TensorSource> tensors_;
  ParamStore store_;
};

TEST_F(Params, AnOptionalTensorMayBeMissingButNotMisshapen) {
  put("there", DType::kF32, {4});
  put("wrong", DType::kF32, {4});
  for (auto [name, size] : {std::pair{"there", 4}, std::pair{"missing", 4}, std::pair{"wrong", 5}}) {
    if (std::string(name) == "wrong") {
      EXPECT_EQ(misfits(source()), "");
    }
    store_.add(name, {size}, ParamRole::kVector, {}).optional = true;
  }
  EXPECT_EQ(store_.find("there")->weight.value.data<float>()[3], 3.0f);
  EXPECT_TRUE(store_.find("missing")->weight.value.empty());
  EXPECT_NE(misfits(source()).find("wrong: expected [5]"), std::string::npos);
}

TEST_F(Params, OperandsStayAsTheyAreStoredAndTheOthersBecomeOwnedReals) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64}) {
    std::string type(dtype_name(dtype));
    for (ParamRole role : {ParamRole::kMatrix, ParamRole::kEmbedding, ParamRole::kVector, ParamRole::kRouter}) {
      std::string name = type + std::to_string(static_cast<int>(role));
      store_.add(name, {3, 16}, role, {});
      put(name, dtype, {3, 16});
    }
  }
  int64_t last = 0, total = 0;
  store_.bind(source(), Numerics::kBF16x2, [&](int64_t done, int64_t all) {
    EXPECT_GE(done, last);
    last = done;
    total = all;
  });
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, 4 * 48 * (4 + 2 + 2 + 8));
  int64_t owned = 0;
  for (const Param* param : store_.by_name()) {
    const Weight& w = param->weight;
    bool operand = param->role == ParamRole::kMatrix || param->role == ParamRole::kEmbedding;
    bool f32 = param->name.starts_with("F32"), bf16 = param->name.starts_with("BF16");
    EXPECT_EQ(w.rows(), 3) << param->name;
    EXPECT_EQ(w.cols(), 16) << param->name;
    if (operand) {
      EXPECT_EQ(w.stored.empty(), f32 || bf16) << param->name;
      EXPECT_EQ(w.value.empty(), !w.stored.empty()) << param->name;
    } else {
      EXPECT_TRUE(w.stored.empty()) << param->name;
      EXPECT_EQ(w.value.dtype(), DType::kF32);
      for (int64_t i = 0; i < 48; ++i) EXPECT_EQ(w.value.data<float>()[i], static_cast<float>(i % 16)) << param->name;
      owned += f32 ? 0 : 48 * 4;
    }
  }
  EXPECT_EQ(store_.owned_bytes(), owned);
}

TEST_F(Params, AMatrixThatIsNotAlignedIsStored) {
  StoredMatrix m{reinterpret_cast<const std::byte*>(64), Format::kF32, 2, 4, 16, {}};
  EXPECT_EQ(residence(ParamRole::kMatrix, m, Numerics::kF32), Residence::kView);
  m.data = reinterpret_cast<const std::byte*>(66);
  EXPECT_EQ(residence(ParamRole::kMatrix, m, Numerics::kF32), Residence::kStored);
  EXPECT_EQ(residence(ParamRole::kVector, m, Numerics::kF32), Residence::kOwned);
  m.format = Format::kBF16;
  m.row_bytes = 8;
  EXPECT_EQ(residence(ParamRole::kHead, m, Numerics::kF32), Residence::kView);
  m.row_bytes = 10;  // rows with gaps
  EXPECT_EQ(residence(ParamRole::kHead, m, Numerics::kF32), Residence::kStored);
}

TEST_F(Params, EveryMisfitIsNamedWithItsFileInOneError) {
  for (const char* name : {"fits", "gone", "shape", "scales", "type"}) {
    store_.add(name, {2, 16}, ParamRole::kMatrix, {});
  }
  put("fits", DType::kF32, {2, 16});
  put("shape", DType::kF32, {2, 17});
  tensors_.push_back({"scales", DType::kF8E4M3, {2, 16}, memory_.back().data(), {}});
  tensors_.push_back({"type", DType::kI32, {2, 16}, memory_.back().data(), {}});
  put("other", DType::kF32, {1});
  auto from = source();
  std::string text = misfits(from);
  EXPECT_NE(text.find("4 of 5 tensors"), std::string::npos) << text;
  EXPECT_NE(text.find("gone [2, 16] is missing"), std::string::npos) << text;
  EXPECT_NE(text.find("shape: expected [2, 16], found [2, 17] in model.safetensors"), std::string::npos) << text;
  EXPECT_NE(text.find("scales: its scales scales_scale_inv are missing in model.safetensors"), std::string::npos)
      << text;
  EXPECT_NE(text.find("type: type I32"), std::string::npos) << text;
  EXPECT_EQ(store_.unused_names(*from), std::vector<std::string>{"other"});
}

class ParamsInParts : public Params {
 protected:
  void SetUp() override {
    whole_ = &store_.add("kv_b", {12, 16}, ParamRole::kMatrix, {});
    k_ = &store_.add_part(*whole_, "k_b", {2, 16, 4});
    v_ = &store_.add_part(*whole_, "v_b", {2, 2, 16});
  }
  Param *whole_ = nullptr, *k_ = nullptr, *v_ = nullptr;
};

TEST_F(ParamsInParts, TheWholeGoesFirst) {
  put("kv_b", DType::kF32, {12, 16});
  put("k_b", DType::kF32, {2, 16, 4});
  auto from = source();
  store_.bind(from, Numerics::kF32);
  EXPECT_FALSE(whole_->weight.empty());
  EXPECT_TRUE(k_->weight.empty());
  EXPECT_TRUE(store_.unused_names(*from).empty());
}

TEST_F(ParamsInParts, PartsStandInForTheWhole) {
  put("k_b", DType::kF32, {2, 16, 4});
  put("v_b", DType::kF16, {2, 2, 16});
  store_.bind(source(), Numerics::kF32);
  EXPECT_TRUE(whole_->weight.empty());
  EXPECT_EQ(k_->weight.value.cols(), 64);
  EXPECT_EQ(v_->weight.stored.format, Format::kF16);
  EXPECT_EQ(store_.by_name().size(), 1U);  // parts are not trained
}

TEST_F(ParamsInParts, APartAloneIsNotEnough) {
  put("k_b", DType::kF32, {2, 16, 4});
  std::string text = misfits(source());
  EXPECT_NE(text.find("kv_b [12, 16] is missing, and so is its other form, k_b [2, 16, 4] with v_b [2, 2, 16]"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace unha
