// SPDX-License-Identifier: Apache-2.0
#include "tensor/format.h"

#include "base/error.h"

namespace unha {

namespace {
struct Layout {
  std::string_view name;
  int64_t block, bytes;
};

// In order of Format. Block layouts: ggml's, as the gguf package documents them.
constexpr Layout kLayouts[] = {
    {"F32", 1, 4},      {"F64", 1, 8},        {"F16", 1, 2},      {"BF16", 1, 2},     {"F8_E4M3", 1, 1},
    {"Q8_0", 32, 34},   {"Q4_0", 32, 18},     {"Q4_1", 32, 20},   {"Q5_0", 32, 22},   {"Q5_1", 32, 24},
    {"IQ4_NL", 32, 18}, {"Q2_K", 256, 84},    {"Q3_K", 256, 110}, {"Q4_K", 256, 144}, {"Q5_K", 256, 176},
    {"Q6_K", 256, 210}, {"IQ4_XS", 256, 136},
};
static_assert(sizeof(kLayouts) / sizeof(kLayouts[0]) == kFormats);

const Layout& layout(Format format) { return kLayouts[static_cast<int>(format)]; }
}  // namespace

int64_t format_block(Format format) { return layout(format).block; }
int64_t format_block_bytes(Format format) { return layout(format).bytes; }
std::string_view format_name(Format format) { return layout(format).name; }

}  // namespace unha
