// SPDX-License-Identifier: Apache-2.0
#include "app/generate_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/progress.h"
#include "base/error.h"

namespace unha {

namespace {
constexpr int64_t kSlowToLoad = int64_t{512} << 20;  // bytes; below it nobody waits
}

void add_generate_options(CLI::App& cmd, GenerateArgs& args, const std::string& seed_help) {
  const char* group = "Drawing tokens";
  SamplingOptions& s = args.sampling;
  cmd.add_option("--temperature", s.temperature, "0: always the most probable token")
      ->capture_default_str()
      ->group(group);
  cmd.add_option("--top-k", s.top_k, "draw from the K most probable; 0: all")->capture_default_str()->group(group);
  cmd.add_option("--top-p", s.top_p, "draw from the most probable that make up this share; 1: all")
      ->capture_default_str()
      ->group(group);
  cmd.add_option("--min-p", s.min_p, "leave out those below this share of the most probable; 0: none")
      ->capture_default_str()
      ->group(group);
  cmd.add_option("--repetition-penalty", s.repetition_penalty, "divides logits of tokens that occurred; 1: none")
      ->capture_default_str()
      ->group(group);
  cmd.add_option("--seed", args.seed, seed_help)->group(group);
  cmd.add_option("--max-tokens", args.max_tokens, "end a reply after this many")->capture_default_str()->group(group);
  cmd.add_option("--stop", args.stop, "end a reply before this text; can be given again")
      ->type_name("TEXT")
      ->allow_extra_args(false)
      ->group(group);
  cmd.add_option(
         "--think", args.think,
         "on: think and show it; hide: think, but leave it out; off: the model may not think. Default: what the "
         "model does by itself, shown")
      ->check(CLI::IsMember({"on", "off", "hide"}))
      ->group(group);
  cmd.add_option("--speculative", args.speculative,
                 "mtp: draft with the model's MTP module; the output stays the same. Default: no drafts")
      ->check(CLI::IsMember({"mtp"}))
      ->group(group);
  cmd.add_option("--system", args.system, "system message; default: none")->type_name("TEXT");
  cmd.add_option("--template", args.chat_template, "chat template, see unha template list; default: the model's own")
      ->type_name("NAME");
  cmd.add_option("--prose", args.prose, "sentences for the chat template, see unha template render --help")
      ->type_name("FILE");
  cmd.add_option("--ctx", args.context, "context in tokens; 0: the model's, at most 8192")->capture_default_str();
  cmd.add_option("--prefill-chunk", args.prefill_chunk, "tokens of a prompt that are read at once")
      ->capture_default_str();
  add_mmap_option(cmd, args.mmap);
}

void add_mmap_option(CLI::App& cmd, bool& mmap) {
  cmd.add_flag("--mmap", mmap, "run a model larger than memory: its pages are read from the disk again and again");
}

GenerateOptions generate_options(const GenerateArgs& args) {
  GenerateOptions options;
  options.sampling = args.sampling;
  options.sampling.seed = args.seed.value_or(0);
  check_sampling(options.sampling);
  if (args.max_tokens < 1)
    throw_error(ErrorCode::kUsage, "--max-tokens: expected 1 or more, found {}", args.max_tokens);
  options.max_tokens = args.max_tokens;
  options.stop = args.stop;
  options.think = args.think == "off" ? Think::kOff : args.think == "hide" ? Think::kHide : Think::kOn;
  options.speculate = !args.speculative.empty();
  return options;
}

void note_unknown_keys(const Global& global, const Model& model) {
  if (global.quiet || model.unknown_keys().empty()) return;
  fmt::print(stderr, "unha: note: config.json: passed over the unknown keys {}\n",
             fmt::join(model.unknown_keys(), ", "));
}

std::unique_ptr<Engine> open_engine(const Global& global, const std::string& path, int64_t context,
                                    int64_t prefill_chunk, bool mmap) {
  if (prefill_chunk < 1) throw_error(ErrorCode::kUsage, "--prefill-chunk: expected 1 or more, found {}", prefill_chunk);
  EngineOptions options;
  options.threads = global.threads;
  options.isa = global.isa;
  options.numerics = global.numerics;
  options.allow_unknown_keys = global.allow_unknown_keys;
  options.context = context;
  options.prefill_chunk = prefill_chunk;
  options.allow_mmap = mmap;
  options.planned = [&](const MemoryPlan& plan) {
    if (global.quiet || plan.mapped < kSlowToLoad) return;
    fmt::print(stderr, "unha: memory: {} needed of {} that are free\n", megabytes(plan.needed(mmap)),
               megabytes(available_memory()));
  };
  std::unique_ptr<Progress> progress;
  options.progress = [&](int64_t done, int64_t all) {
    if (all < kSlowToLoad) return;
    if (!progress)
      progress = std::make_unique<Progress>(global.quiet, "loading", "MB", static_cast<double>(all) * 1e-6);
    progress->update(static_cast<double>(done) * 1e-6);
    if (done == all) progress->finish();
  };
  std::unique_ptr<Engine> engine = Engine::open(path, options);
  note_unknown_keys(global, engine->model());
  return engine;
}

std::unique_ptr<Session> open_session(Engine& engine, bool speculate) {
  if (speculate && engine.model().mtp_depth() == 0) {
    throw Error(ErrorCode::kInvalidArgument, "--speculative mtp: the model has no MTP module",
                "leave --speculative out");
  }
  return std::make_unique<Session>(engine, engine.context(), speculate);
}

Json stats_json(Engine& engine, const GenerateStats& s) {
  return {{"prompt_tokens", s.prompt_tokens},
          {"prefill_tokens", s.prefill_tokens},
          {"prefill_s", s.prefill_s},
          {"prefill_tokens_per_s", s.prefill_tokens_per_s()},
          {"decode_tokens", s.decode_tokens},
          {"decode_s", s.decode_s},
          {"decode_tokens_per_s", s.decode_tokens_per_s()},
          {"bytes_per_token", s.bytes_per_token},
          {"gigabytes_per_s", s.gigabytes_per_s()},
          {"engram_rows_per_token", s.engram_rows},
          {"engram_bytes_per_token", s.engram_bytes},
          {"drafted", s.drafted},
          {"accepted", s.accepted},
          {"planned_bytes", engine.plan().resident()},
          {"peak_rss_bytes", peak_rss_bytes()},
          {"numerics", std::string(numerics_name(engine.numerics()))},
          {"isa", std::string(isa_name(engine.isa()))},
          {"threads", engine.threads()}};
}

std::string stats_text(Engine& engine, const GenerateStats& s) {
  std::string text = fmt::format(
      "prefill {} of {} tokens, {} tokens/s; decode {} tokens, {} tokens/s, {} GB/s, {} MB per token", s.prefill_tokens,
      s.prompt_tokens, number_text(s.prefill_tokens_per_s()), s.decode_tokens, number_text(s.decode_tokens_per_s()),
      number_text(s.gigabytes_per_s()), number_text(s.bytes_per_token * 1e-6));
  if (s.engram_rows > 0) text += fmt::format("; Engram {} rows, {} bytes per token", s.engram_rows, s.engram_bytes);
  if (s.drafted > 0) {
    text += fmt::format("; drafts {} of {} accepted ({:.0f} %)", s.accepted, s.drafted,
                        100.0 * static_cast<double>(s.accepted) / static_cast<double>(s.drafted));
  }
  text += fmt::format("; memory {}, at most {} planned; {} on {}, {} threads", megabytes(peak_rss_bytes()),
                      megabytes(engine.plan().resident()), numerics_name(engine.numerics()), isa_name(engine.isa()),
                      engine.threads());
  return text;
}

}  // namespace unha
