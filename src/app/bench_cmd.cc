// SPDX-License-Identifier: Apache-2.0
#include "app/bench_cmd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <memory>

#include "app/bench_report.h"
#include "app/model_place.h"
#include "app/progress.h"
#include "app/version.h"
#include "base/error.h"
#include "base/threads.h"
#include "engine/measure_inference.h"
#include "kernels/peak.h"
#include "model/generations.h"
#include "train/measure_training.h"

namespace unha {

namespace {

struct BenchOptions {
  std::string model;
  std::string csv;
  bool skip_training = false, skip_inference = false;
  MeasureTraining training;
  MeasureInference inference;
};

void add_machine(BenchReport& report, const MachineLimits& limits) {
  for (const MachineLimit& limit : limits.rows()) {
    report.add({"machine", limit.name, limit.all, limit.unit, "", 0});
    if (limits.threads > 1)
      report.add({"machine", fmt::format("{}, one thread", limit.name), limit.one, limit.unit, "", 0});
  }
}

void add_training(BenchReport& report, const BenchOptions& options, Numerics numerics, const Global& global,
                  Threads& threads, const MachineLimit& limit) {
  TrainingFigures figures = measure_training(tiny_config(), options.training, numerics, global.isa, threads);
  auto tokens = static_cast<double>(figures.tokens);
  double flops = tokens * figures.flops_per_token / figures.step_s;
  std::string section = fmt::format("training of tiny, {} tokens a step, {} FLOPs a token", figures.tokens,
                                    number_text(figures.flops_per_token));
  report.add({section, "all", tokens / figures.step_s, "tokens/s", "", 0});
  report.add({section, "all", flops / 1e12, "TFLOP/s", limit.name, flops / (1e9 * limit.all)});
  for (const OpFigures& op : figures.ops) {
    double seconds = op.forward_s + op.backward_s;
    report.add({section, op.name, 1e3 * seconds, "ms", "the step", seconds / figures.step_s});
    if (op.flops > 0) {
      report.add(
          {section, op.name, op.flops / seconds / 1e12, "TFLOP/s", limit.name, op.flops / seconds / (1e9 * limit.all)});
    }
  }
}

void add_inference(BenchReport& report, const BenchOptions& options, Model& model, Ctx& ctx,
                   const MachineLimits& limits) {
  const MachineLimit& limit = limits.of(ctx.numerics);
  for (const InferencePoint& p : measure_inference(model, ctx, options.inference)) {
    std::string section = fmt::format("inference at context {}", p.context);
    double prefill = p.prefill_tokens_per_s * p.prefill_flops_per_token;
    double decode = p.decode_tokens_per_s * p.decode_flops_per_token;
    double bytes = p.decode_tokens_per_s * p.decode_bytes_per_token;
    std::string chunk = fmt::format("prefill of {}", p.prefill_tokens);
    report.add({section, chunk, p.prefill_tokens_per_s, "tokens/s", limit.name, prefill / (1e9 * limit.all)});
    report.add({section, "decode", p.decode_tokens_per_s, "tokens/s", limit.name, decode / (1e9 * limit.all)});
    report.add({section, "decode reads", bytes / 1e9, "GB/s", limits.read.name, bytes / (1e9 * limits.read.all)});
    report.add({section, "decode reads", p.decode_bytes_per_token / 1e6, "MB/token", "", 0});
  }
}

void save_csv(const std::string& path, const BenchReport& report) {
  std::ofstream out(path, std::ios::binary);
  out << report.csv();
  out.flush();
  if (!out) throw Error(ErrorCode::kResource, fmt::format("{}: cannot be written", path), "give --csv another path");
}

int bench(const BenchOptions& options, const Global& global) {
  BenchReport report;
  BuildInfo build = build_info();
  Threads threads(global.threads);
  LoadedModel loaded;
  if (!options.skip_inference) {
    loaded = load_model(options.model.empty() ? bundled_model() : options.model, global.numerics);
  }
  Numerics numerics = options.skip_inference ? pick_numerics(global, "") : loaded.numerics;
  report.note("commit", build.commit);
  report.note("compiler", build.compiler);
  report.note("machine", machine_text());
  report.note("threads", std::to_string(threads.count()));
  report.note("tier", std::string(isa_name(global.isa)));
  report.note("class", std::string(numerics_name(numerics)));

  StatusLine line(global.quiet);
  line.log("bench: measuring the machine");
  MachineLimits limits = measure_limits(threads, global.isa);
  add_machine(report, limits);
  if (!options.skip_training) {
    line.log("bench: training tiny");
    add_training(report, options, numerics, global, threads, limits.of(numerics));
  }
  if (!options.skip_inference) {
    line.log("bench: inference");
    Arena arena;
    Ctx ctx = make_ctx(arena, threads, numerics, global.isa);
    add_inference(report, options, *loaded.model, ctx, limits);
  }
  fmt::print("{}", report.text());
  if (!options.csv.empty()) save_csv(options.csv, report);
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& root, Global& global, Action& action) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = root.add_subcommand("bench", "measure this machine, then training and inference as shares of it");
  command->add_option("MODEL", options->model, "model folder; default: the bundled model");
  command->add_option("--csv", options->csv, "write the figures to this file, too");
  command->add_flag("--no-training", options->skip_training, "leave training out");
  command->add_flag("--no-inference", options->skip_inference, "leave inference out; needs no model");
  command->add_option("--steps", options->training.steps, "training steps measured, after one to warm up; default: 3")
      ->check(CLI::Range(1, 1000));
  command->add_option("--batch-tokens", options->training.batch_tokens, "tokens of a training step; default: 4096")
      ->check(CLI::Range(512, 1 << 20));
  command->add_option("--contexts", options->inference.contexts, "contexts to measure at; default: 0,256,512")
      ->delimiter(',')
      ->check(CLI::Range(0, 1 << 20));
  command->add_option("--decode-tokens", options->inference.decode_tokens, "tokens decoded at each; default: 64")
      ->check(CLI::Range(1, 1 << 20));
  command->footer(
      R"(Shares are of the limits that the same run has measured: products of the fastest tier up to --isa, and
reading memory. A small model lives in the caches, so its share of the read bandwidth can exceed 100 %.

Examples:
  unha bench
  unha bench out/my-model --no-training --contexts 0,1024 --csv out/bench.csv
  unha bench --no-inference --numerics f32 --threads 1)");
  command->callback([=, &global, &action] { action = [=, &global] { return bench(*options, global); }; });
}

}  // namespace unha
