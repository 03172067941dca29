// SPDX-License-Identifier: Apache-2.0
// What every command is told: threads, tier, numerics class, quiet. A command reads it inside its action, when
// resolve_global() has replaced the texts of the command line by values.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "kernels/isa.h"

// A command's header names CLI::App without including CLI11.
namespace CLI {
class App;
}

namespace unha {

struct Global {
  int threads = 0;                   // after resolve_global(): at least 1
  Isa isa = Isa::kScalar;            // the ceiling: every class uses its best tier up to it
  std::optional<Numerics> numerics;  // empty: auto, see pick_numerics()
  bool quiet = false;                // no progress and no notes on stderr; errors still
  bool allow_unknown_keys = false;   // of a model's config.json

  std::string isa_text;  // as given by --isa or UNHA_ISA; empty: the machine's best
  std::string numerics_text = "auto";
};

// A command's work; returns the exit code.
using Action = std::function<int()>;

// Turns the texts into values. Error(kUsage) for a tier that the machine lacks, listing those it has, for an unknown
// class, and for a number of threads out of range. Reads UNHA_ISA where --isa is absent.
void resolve_global(Global& global);

// The class for a run: --numerics if given, else the one a model's config.json names (may be empty), else the one that
// this machine runs fastest up to the tier. Error(kUnsupported) if `from_model` is no class of ours.
Numerics pick_numerics(const Global& global, const std::string& from_model);

// "f32, bf16x2": the classes a user can choose, and "scalar, avx2": the tiers of this machine.
std::string class_list();
std::string tier_list();

}  // namespace unha
