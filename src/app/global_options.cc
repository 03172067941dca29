// SPDX-License-Identifier: Apache-2.0
#include "app/global_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/threads.h"

namespace unha {

namespace {
constexpr int kMaxThreads = 1024;

Isa resolve_isa(const std::string& text, const char* source) {
  std::optional<Isa> isa = isa_from_name(text);
  if (!isa) {
    throw Error(ErrorCode::kUsage, fmt::format("{}: there is no tier '{}'", source, text),
                fmt::format("this machine has {}", tier_list()));
  }
  std::vector<Isa> have = available_isas();
  if (std::find(have.begin(), have.end(), *isa) == have.end()) {
    throw Error(ErrorCode::kUsage, fmt::format("{}: this machine lacks the tier '{}'", source, text),
                fmt::format("it has {}", tier_list()));
  }
  return *isa;
}
}  // namespace

void resolve_global(Global& global) {
  const char* from_environment = std::getenv("UNHA_ISA");
  if (!global.isa_text.empty()) {
    global.isa = resolve_isa(global.isa_text, "--isa");
  } else if (from_environment != nullptr && *from_environment != '\0') {
    global.isa = resolve_isa(from_environment, "UNHA_ISA");
  } else {
    global.isa = best_isa();
  }
  if (global.numerics_text != "auto") {
    global.numerics = numerics_from_name(global.numerics_text);
    if (!global.numerics || *global.numerics == Numerics::kF64) {
      throw Error(ErrorCode::kUsage, fmt::format("--numerics: there is no class '{}'", global.numerics_text),
                  fmt::format("choose auto, {}", class_list()));
    }
  }
  if (global.threads < 0 || global.threads > kMaxThreads) {
    throw Error(ErrorCode::kUsage, fmt::format("--threads: expected 0 to {}, found {}", kMaxThreads, global.threads),
                "0 uses all cores");
  }
  if (global.threads == 0) global.threads = Threads::hardware_threads();
}

Numerics pick_numerics(const Global& global, const std::string& from_model) {
  if (global.numerics) return *global.numerics;
  if (!from_model.empty()) {
    std::optional<Numerics> numerics = numerics_from_name(from_model);
    if (!numerics || *numerics == Numerics::kF64) {
      throw Error(ErrorCode::kUnsupported, fmt::format("the model asks for the numerics class '{}'", from_model),
                  fmt::format("give --numerics: {}", class_list()));
    }
    return *numerics;
  }
  return global.isa >= Isa::kAvx512Bf16 ? Numerics::kBF16x2 : Numerics::kF32;
}

std::string class_list() {
  std::vector<std::string_view> names;
  for (Numerics numerics : {Numerics::kF32, Numerics::kBF16x2}) names.push_back(numerics_name(numerics));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string tier_list() {
  std::vector<std::string_view> names;
  for (Isa isa : available_isas()) names.push_back(isa_name(isa));
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace unha
