// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace unha {

namespace {
constexpr std::array<std::pair<Isa, std::string_view>, 5> kIsas = {{{Isa::kScalar, "scalar"},
                                                                    {Isa::kAvx2, "avx2"},
                                                                    {Isa::kAvx512, "avx512"},
                                                                    {Isa::kAvx512Bf16, "avx512bf16"},
                                                                    {Isa::kAmx, "amx"}}};
constexpr std::array<std::pair<Numerics, std::string_view>, 3> kClasses = {
    {{Numerics::kF64, "f64"}, {Numerics::kF32, "f32"}, {Numerics::kBF16x2, "bf16x2"}}};

template <class Table, class Key>
std::string_view name_in(const Table& table, Key key) {
  for (const auto& [value, name] : table) {
    if (value == key) return name;
  }
  return "?";
}
}  // namespace

std::string_view numerics_name(Numerics numerics) { return name_in(kClasses, numerics); }
std::string_view isa_name(Isa isa) { return name_in(kIsas, isa); }

std::optional<Numerics> numerics_from_name(std::string_view name) {
  for (const auto& [value, text] : kClasses) {
    if (text == name) return value;
  }
  return std::nullopt;
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const auto& [value, text] : kIsas) {
    if (text == name) return value;
  }
  return std::nullopt;
}

#if defined(__x86_64__)
namespace {
// Tile state is large, so Linux hands it out on request, once per process (arch_prctl, ARCH_REQ_XCOMP_PERM).
// The bits by hand: clang 14 has no name for them.
bool tiles_granted() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kBf16) == 0 || (d & kTile) == 0) return false;
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
}  // namespace
#endif

std::vector<Isa> available_isas() {
  std::vector<Isa> isas = {Isa::kScalar};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))) return isas;
  isas.push_back(Isa::kAvx2);
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))) {
    return isas;
  }
  isas.push_back(Isa::kAvx512);
  if (!__builtin_cpu_supports("avx512bf16")) return isas;
  isas.push_back(Isa::kAvx512Bf16);
  if (tiles_granted()) isas.push_back(Isa::kAmx);  // a ceiling: no class here multiplies in tiles yet
#endif
  return isas;
}

Isa best_isa() { return available_isas().back(); }

namespace kernels {

#if defined(__x86_64__)
#define UNHA_TIERS(X) X(avx2) X(avx512) X(avx512bf16)
#else
#define UNHA_TIERS(X)
#endif
#define UNHA_DECLARE(name)         \
  namespace tier_##name {          \
    const Kernels<float>& table(); \
  }
UNHA_DECLARE(scalar)
UNHA_TIERS(UNHA_DECLARE)
#undef UNHA_DECLARE
namespace tier_f64 {
const Kernels<double>& table();
}

const Kernels<float>& kernels_for(Isa isa) {
  auto isas = available_isas();
  if (std::find(isas.begin(), isas.end(), isa) == isas.end()) {
    std::vector<std::string_view> names;
    for (Isa have : isas) names.push_back(isa_name(have));
    throw Error(ErrorCode::kUsage, fmt::format("this machine has no tier {}", isa_name(isa)),
                fmt::format("it has {}", fmt::join(names, ", ")));
  }
  const Kernels<float>* best = &tier_scalar::table();
#define UNHA_PICK(name) \
  if (tier_##name::table().isa <= isa) best = &tier_##name::table();
  UNHA_TIERS(UNHA_PICK)
#undef UNHA_PICK
  return *best;
}

const Kernels<double>& kernels_f64() { return tier_f64::table(); }

}  // namespace kernels
}  // namespace unha
