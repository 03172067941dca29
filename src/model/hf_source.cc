// SPDX-License-Identifier: Apache-2.0
#include "model/hf_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace unha {

namespace {

constexpr std::string_view kScaleSuffix = "_scale_inv";
constexpr int64_t kDefaultBlock = 128;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct BlockSize {
  int64_t rows = kDefaultBlock, cols = kDefaultBlock;
};

BlockSize read_block_size(const Checkpoint& checkpoint) {
  BlockSize size;
  if (!checkpoint.has_file("config.json")) return size;
  std::string what = checkpoint.dir() + "/config.json";
  Json config = parse_json(checkpoint.read_text("config.json"), what);
  if (!config.is_object()) return size;
  auto quantization = config.find("quantization_config");
  if (quantization == config.end() || !quantization->is_object()) return size;
  auto block = quantization->find("weight_block_size");
  if (block == quantization->end() || block->is_null()) return size;
  auto valid = [](const Json& n) { return n.is_number_unsigned() && n.get<uint64_t>() - 1 < (uint64_t{1} << 30); };
  if (!block->is_array() || block->size() != 2 || !valid((*block)[0]) || !valid((*block)[1])) {
    throw_error(ErrorCode::kInvalidArgument,
                "{}: quantization_config: \"weight_block_size\" must be two positive numbers, found {}", what,
                block->dump());
  }
  return {(*block)[0].get<int64_t>(), (*block)[1].get<int64_t>()};
}

std::optional<Format> format_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Format::kF32;
    case DType::kF64:
      return Format::kF64;
    case DType::kF16:
      return Format::kF16;
    case DType::kBF16:
      return Format::kBF16;
    case DType::kF8E4M3:
      return Format::kF8E4M3;
    default:
      return std::nullopt;
  }
}

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// Joins the scales with `tensor`, a matrix of FP8, or says in tensor->problem why not.
void join_scales(const std::string& name, const TensorInfo* scales, const BlockSize& block, SourceTensor* tensor) {
  if (scales == nullptr) {
    tensor->problem = fmt::format("its scales {} are missing", name);
    return;
  }
  tensor->bytes += scales->bytes;
  if (tensor->shape.size() != 2) {
    tensor->problem = fmt::format("F8_E4M3 of shape {} cannot have block scales", shape_text(tensor->shape));
    return;
  }
  std::vector<int64_t> expected = {divide_up(tensor->shape[0], block.rows), divide_up(tensor->shape[1], block.cols)};
  bool known = scales->dtype == DType::kF32 || scales->dtype == DType::kBF16 || scales->dtype == DType::kF8E8M0;
  if (scales->shape != expected) {
    tensor->problem =
        fmt::format("its scales {}: expected {}, found {}", name, shape_text(expected), shape_text(scales->shape));
  } else if (!known) {
    tensor->problem =
        fmt::format("its scales {}: expected F32, BF16 or F8_E8M0, found {}", name, dtype_name(scales->dtype));
  }
  tensor->matrix.scales = {scales->data, scales->dtype, block.rows, block.cols, expected[1]};
}

class HfSource final : public ModelSource {
 public:
  explicit HfSource(std::shared_ptr<const Checkpoint> checkpoint) : checkpoint_(std::move(checkpoint)) {
    BlockSize block = read_block_size(*checkpoint_);
    const TensorMap& all = checkpoint_->tensors();
    tensors_.reserve(all.size());
    for (const auto& [name, info] : all) {
      if (!is_joined(name)) tensors_.push_back(describe(info, block));
    }
  }

  const std::string& path() const override { return checkpoint_->dir(); }
  bool has_file(const std::string& name) const override { return checkpoint_->has_file(name); }
  std::string read_text(const std::string& name) const override {
    bool below = name.find('/') != std::string::npos;  // in a folder of it, which checksums do not cover
    return below ? read_file(path() + "/" + name) : checkpoint_->read_text(name);
  }

  const SourceTensor* find(const std::string& name) const override {
    auto place = std::ranges::lower_bound(tensors_, name, {}, &SourceTensor::name);
    return place != tensors_.end() && place->name == name ? &*place : nullptr;
  }
  std::vector<const SourceTensor*> tensors() const override {
    std::vector<const SourceTensor*> out;
    out.reserve(tensors_.size());
    for (const SourceTensor& tensor : tensors_) out.push_back(&tensor);
    return out;
  }
  const Checkpoint* checkpoint() const override { return checkpoint_.get(); }

 private:
  // The scales of an FP8 tensor are no tensor of their own.
  bool is_joined(const std::string& name) const {
    if (!name.ends_with(kScaleSuffix)) return false;
    const TensorInfo* weight = checkpoint_->find(name.substr(0, name.size() - kScaleSuffix.size()));
    return weight != nullptr && weight->dtype == DType::kF8E4M3;
  }

  SourceTensor describe(const TensorInfo& info, const BlockSize& block) const {
    SourceTensor tensor{info.name, checkpoint_->file_of(info), info.shape, {}, info.bytes, {}};
    std::optional<Format> format = format_of(info.dtype);
    if (!format) {
      tensor.problem = fmt::format("type {} is not one of weights", dtype_name(info.dtype));
      return tensor;
    }
    int64_t rows = info.shape.size() < 2 ? 1 : info.shape[0], cols = 1;
    for (size_t i = info.shape.size() < 2 ? 0 : 1; i < info.shape.size(); ++i) cols *= info.shape[i];
    tensor.matrix = {info.data, *format, rows, cols, format_row_bytes(*format, cols), {}};
    if (*format == Format::kF8E4M3) {
      std::string scales = info.name + std::string(kScaleSuffix);
      join_scales(scales, checkpoint_->find(scales), block, &tensor);
    }
    return tensor;
  }

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::vector<SourceTensor> tensors_;  // in order of name
};

}  // namespace

std::shared_ptr<const ModelSource> open_hf_source(const std::string& path) {
  return hf_source(std::make_shared<const Checkpoint>(Checkpoint::open(path)));
}

std::shared_ptr<const ModelSource> hf_source(std::shared_ptr<const Checkpoint> checkpoint) {
  return std::make_shared<const HfSource>(std::move(checkpoint));
}

}  // namespace unha
