// SPDX-License-Identifier: Apache-2.0
// Any bytes as a config.json and a model.safetensors (io/test_folder.h: "%%%%" between them) are either matrices whose
// every element is what the plain formula of deepseek-v3.md section 5 gives, or an Error. An input that begins with a
// control character is a table instead, so that mutations keep to what can be a matrix: nine bytes of sizes, then codes
// and scales.
#include <fmt/format.h>

#include <algorithm>
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

void check_folder(const unha::TestDir& folder) {
  auto source = unha::open_hf_source(folder.path());
  for (const unha::SourceTensor* tensor : source->tensors()) {
    if (tensor->problem.empty()) check_matrix(*tensor);
  }
}

constexpr size_t kSizes = 9;

std::string tensor_text(const char* name, const char* dtype, int64_t rows, int64_t cols, int64_t begin, int64_t bytes) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{},{}],"data_offsets":[{},{}]}})", name, dtype, rows, cols, begin,
                     begin + bytes);
}

// data[0]: a control character; 1, 2: rows and columns; 3, 4: of a block; 5: type of the scales; 6, 7: a row too many
// and a column too few of them, rarely; 8: bytes before the codes, which move their alignment.
void write_table(const unha::TestDir& folder, const uint8_t* data, size_t size) {
  struct Type {
    const char* name;
    int64_t bytes;
  };
  constexpr Type kTypes[] = {{"F32", 4}, {"BF16", 2}, {"F8_E8M0", 1}, {"F16", 2}};
  int64_t rows = data[1] % 40, cols = data[2], block_rows = 1 + data[3] % 50, block_cols = 1 + data[4] % 140;
  const Type& type = kTypes[data[5] % 4];
  int64_t scale_rows = (rows + block_rows - 1) / block_rows + data[6] / 250;
  int64_t scale_cols = std::max<int64_t>((cols + block_cols - 1) / block_cols - data[7] / 250, 0);
  int64_t before = data[8] % 8, codes = rows * cols, scales = scale_rows * scale_cols * type.bytes;
  std::string header = "{" + tensor_text("a", "U8", 1, before, 0, before) + "," +
                       tensor_text("w.weight", "F8_E4M3", rows, cols, before, codes) + "," +
                       tensor_text("w.weight_scale_inv", type.name, scale_rows, scale_cols, before + codes, scales) +
                       "}";
  uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  file += header;
  for (int64_t i = 0; i < before + codes + scales; ++i) {
    file += size == kSizes ? '8' : static_cast<char>(data[kSizes + static_cast<size_t>(i) % (size - kSizes)]);
  }
  unha::write_pieces(
      folder, {"config.json"},
      fmt::format(R"({{"quantization_config":{{"weight_block_size":[{},{}]}}}})", block_rows, block_cols));
  unha::write_pieces(folder, {"model.safetensors"}, file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const unha::TestDir folder;
  try {
    if (size >= kSizes && data[0] < 0x20) {
      write_table(folder, data, size);
    } else {
      unha::write_pieces(folder, {"config.json", "model.safetensors"}, {reinterpret_cast<const char*>(data), size});
    }
    check_folder(folder);
  } catch (const unha::Error&) {
    // Refused, which is fine.
  }
  return 0;
}
