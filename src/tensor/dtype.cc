// SPDX-License-Identifier: Apache-2.0
#include "tensor/dtype.h"

#include <array>
#include <utility>

#include "base/error.h"

namespace unha {

namespace {
struct Entry {
  DType dtype;
  std::string_view name;
  int64_t bytes;
};
constexpr std::array<Entry, 13> kEntries = {{{DType::kF32, "F32", 4},
                                             {DType::kF64, "F64", 8},
                                             {DType::kBF16, "BF16", 2},
                                             {DType::kF16, "F16", 2},
                                             {DType::kF8E4M3, "F8_E4M3", 1},
                                             {DType::kF8E8M0, "F8_E8M0", 1},
                                             {DType::kI8, "I8", 1},
                                             {DType::kU8, "U8", 1},
                                             {DType::kI16, "I16", 2},
                                             {DType::kU16, "U16", 2},
                                             {DType::kI32, "I32", 4},
                                             {DType::kI64, "I64", 8},
                                             {DType::kBool, "BOOL", 1}}};

const Entry& entry(DType dtype) {
  for (const Entry& e : kEntries) {
    if (e.dtype == dtype) return e;
  }
  UNHA_CHECK(false, "dtype {}", static_cast<int>(dtype));
  return kEntries[0];
}
}  // namespace

int64_t dtype_bytes(DType dtype) { return entry(dtype).bytes; }
std::string_view dtype_name(DType dtype) { return entry(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Entry& e : kEntries) {
    if (e.name == name) return e.dtype;
  }
  return std::nullopt;
}

}  // namespace unha
