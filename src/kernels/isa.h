// SPDX-License-Identifier: Apache-2.0
// Numerics classes (what is computed) and instruction tiers (how): numerics.md section 1. Within a class every tier
// gives the same bytes; the tier is chosen at run time, in one binary.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace unha {

enum class Numerics {
  kF64,     // tests only: every kernel in double, nothing rounded
  kF32,     // FP32 FMA chains
  kBF16x2,  // operands of linear layers and attention in bf16, the VDPBF16PS rule
  // kBF16t (TDPBF16PS) and kI8 have their place here.
};

enum class Isa { kScalar, kAvx2, kAvx512, kAvx512Bf16, kAmx };  // ascending

std::string_view numerics_name(Numerics numerics);  // f32, bf16x2; f64
std::optional<Numerics> numerics_from_name(std::string_view name);
std::string_view isa_name(Isa isa);  // scalar, avx2, avx512, avx512bf16, amx
std::optional<Isa> isa_from_name(std::string_view name);

// Tiers that this machine has, ascending; scalar is always there. kAmx counts only if the kernel grants tiles.
std::vector<Isa> available_isas();
// The best one.
Isa best_isa();

}  // namespace unha
