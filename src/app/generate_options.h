// SPDX-License-Identifier: Apache-2.0
// Options that run, chat and eval share: how tokens are drawn, how the model is opened. Includes CLI11: for *_cmd.cc.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "app/global_options.h"
#include "base/json.h"
#include "engine/engine.h"
#include "engine/generate.h"

namespace unha {

struct GenerateArgs {
  SamplingOptions sampling;
  std::optional<uint64_t> seed;
  int64_t max_tokens = 512;
  std::vector<std::string> stop;
  std::string think;  // on, off, hide; empty: as the model's chat template does by itself
  std::string speculative;
  std::string system;
  std::string chat_template;  // empty: the model's own
  std::string prose;          // file; empty: none
  int64_t context = 0;
  int64_t prefill_chunk = 256;
  bool mmap = false;
};

void add_generate_options(CLI::App& cmd, GenerateArgs& args, const std::string& seed_help);

// Error(kUsage) for values out of range.
GenerateOptions generate_options(const GenerateArgs& args);

// Says on stderr which keys of config.json were passed over, if any were and notes are wanted.
void note_unknown_keys(const Global& global, const Model& model);
// Opens a model with what the command line says.
std::unique_ptr<Engine> open_engine(const Global& global, const std::string& path, int64_t context,
                                    int64_t prefill_chunk, bool mmap);
// --mmap, for every command that opens a model.
void add_mmap_option(CLI::App& cmd, bool& mmap);
// A session over the engine's whole context. Error(kInvalidArgument) if it shall draft and the model cannot.
std::unique_ptr<Session> open_session(Engine& engine, bool speculate);

Json stats_json(Engine& engine, const GenerateStats& stats);
std::string stats_text(Engine& engine, const GenerateStats& stats);

}  // namespace unha
