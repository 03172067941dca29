// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/blocks.h"

#include <fmt/format.h>

#include <cstring>

#include "base/error.h"
#include "base/threads.h"
#include "io/file.h"
#include "quant/stored_matrix.h"

namespace unha {

namespace {

constexpr std::string_view kBlocks = ".blocks", kValues = ".values";

std::optional<Format> format_from_name(std::string_view name) {
  for (int f = 0; f < kFormats; ++f) {
    if (format_name(static_cast<Format>(f)) == name) return static_cast<Format>(f);
  }
  return std::nullopt;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0 && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
  }
  return true;
}

// What is wrong, or "".
std::string check_type(const Golden& golden, const std::string& type, const TensorInfo& stored, Difference& all) {
  std::optional<Format> format = format_from_name(type);
  if (!format) return fmt::format("the type {} is not known", quoted_name(type));
  const TensorInfo& reference = golden.need(type + std::string(kValues));
  int64_t width = format_block(*format), bytes = format_block_bytes(*format);
  int64_t blocks = stored.shape.empty() ? 0 : stored.shape[0];
  if (stored.dtype != DType::kU8 || stored.shape != std::vector<int64_t>{blocks, bytes} ||
      reference.shape != std::vector<int64_t>{blocks, width} || blocks == 0) {
    return fmt::format("{}: blocks {} {} and values {}, expected U8 [n, {}] and [n, {}]", type,
                       dtype_name(stored.dtype), shape_text(stored.shape), shape_text(reference.shape), bytes, width);
  }
  std::vector<float> expected = golden_values_as<float>(reference), by_block(expected.size()), as_row(expected.size());
  StoredMatrix matrix{stored.data, *format, blocks, width, bytes, {}};
  for (int64_t b = 0; b < blocks; ++b) matrix.widen(b, 0, width, by_block.data() + b * width);
  StoredMatrix row{stored.data, *format, 1, blocks * width, blocks * bytes, {}};
  row.widen(0, 0, row.cols, as_row.data());
  for (size_t i = 0; i < expected.size(); ++i) {
    all.add(static_cast<double>(by_block[i]), static_cast<double>(expected[i]));
  }
  if (!same_bits(by_block, expected)) return fmt::format("{}: other bits than the stored values", type);
  return same_bits(as_row, expected) ? "" : fmt::format("{}: a row of several blocks has other bits", type);
}

}  // namespace

bool holds_blocks(const Golden& golden) {
  if (golden.has("sequences")) return false;
  for (const auto& [name, info] : golden.tensors()) {
    if (name.ends_with(kBlocks)) return true;
  }
  return false;
}

void check_blocks(const Golden& golden, Checks& checks) {
  flush_denormals();  // as every thread has it that multiplies
  Difference all;
  int64_t types = 0, values = 0;
  for (const auto& [name, info] : golden.tensors()) {
    if (!name.ends_with(kBlocks)) continue;
    std::string type = name.substr(0, name.size() - kBlocks.size());
    int64_t before = all.values;
    checks.judge(type, check_type(golden, type, info, all), {{"values", all.values - before}});
    ++types;
  }
  values = all.values;
  checks.compared(all);
  checks.note(fmt::format("{} types, {} values, bit for bit", types, values));
}

}  // namespace unha
