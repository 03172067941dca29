// SPDX-License-Identifier: Apache-2.0
// Any bytes as a config.json and a model.safetensors (io/test_folder.h: "%%%%" between them) are either matrices whose
// every element is what the plain formula of deepseek-v3.md section 5 gives, or an Error.
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/test_folder.h"
#include "model/hf_source.h"
#include "quant/float_bits.h"

namespace {

constexpr int64_t kMostElements = 4096;  // of a matrix that is widened whole; of a larger one the last row's end

double scale_at(const unha::BlockScales& scales, int64_t row, int64_t col) {
  int64_t at = row / scales.block_rows * scales.cols + col / scales.block_cols;
  if (scales.dtype == unha::DType::kF8E8M0) return std::ldexp(1.0, static_cast<int>(scales.data[at]) - 127);
  if (scales.dtype == unha::DType::kBF16) {
    uint32_t bits = static_cast<uint32_t>(unha::load_u16(scales.data + 2 * at)) << 16;
    return unha::widen_f32(std::bit_cast<float>(bits));
  }
  return unha::widen_f32(std::bit_cast<float>(unha::load_u32(scales.data + 4 * at)));
}

bool scale_is_nan(const unha::BlockScales& scales, int64_t row, int64_t col) {
  int64_t at = row / scales.block_rows * scales.cols + col / scales.block_cols;
  return scales.dtype == unha::DType::kF8E8M0 ? scales.data[at] == std::byte{0xff}
                                              : std::isnan(scale_at(scales, row, col));
}

void check_element(const unha::SourceTensor& tensor, int64_t row, int64_t col, float found) {
  const unha::StoredMatrix& m = tensor.matrix;
  float code = unha::e4m3_value(static_cast<uint8_t>(m.data[row * m.cols + col]));
  bool nan = std::isnan(code) || scale_is_nan(m.scales, row, col);
  double product = nan ? 0 : static_cast<double>(code) * scale_at(m.scales, row, col);
  if (nan || std::isnan(product)) {
    UNHA_CHECK(std::isnan(found), "{} [{}, {}]: expected NaN, found {}", tensor.name, row, col, found);
    return;
  }
  uint32_t expected = std::bit_cast<uint32_t>(unha::narrow_f64(product));
  UNHA_CHECK(expected == std::bit_cast<uint32_t>(found), "{} [{}, {}]: expected {}, found {}", tensor.name, row, col,
             product, found);
}

void check_matrix(const unha::SourceTensor& tensor) {
  const unha::StoredMatrix& m = tensor.matrix;
  if (m.rows == 0 || m.cols == 0) return;
  int64_t begin = m.cols > kMostElements ? m.cols - kMostElements : 0, count = m.cols - begin;
  std::vector<float> stretch(static_cast<size_t>(count));
  for (int64_t row = m.rows * count > kMostElements ? m.rows - 1 : 0; row < m.rows; ++row) {
    m.widen(row, begin, count, stretch.data());
    if (m.format != unha::Format::kF8E4M3) continue;
    for (int64_t i = 0; i < count; ++i) check_element(tensor, row, begin + i, stretch[static_cast<size_t>(i)]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const unha::TestDir folder;
  unha::write_pieces(folder, {"config.json", "model.safetensors"}, {reinterpret_cast<const char*>(data), size});
  try {
    auto source = unha::open_hf_source(folder.path());
    for (const unha::SourceTensor* tensor : source->tensors()) {
      if (tensor->problem.empty()) check_matrix(*tensor);
    }
  } catch (const unha::Error&) {
    // Refused, which is fine.
  }
  return 0;
}
