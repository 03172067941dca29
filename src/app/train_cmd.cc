// SPDX-License-Identifier: Apache-2.0
#include "app/train_cmd.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/progress.h"
#include "app/signals.h"
#include "app/version.h"
#include "base/error.h"
#include "io/file.h"
#include "train/train_run.h"

namespace unha {

namespace {

struct TrainArgs {
  std::string config, out, init;
  std::vector<std::string> set;
  std::optional<int64_t> steps, seed;
  int64_t stop_after = 0;
  bool resume = false;
};

constexpr const char* kTrainFooter = R"(Examples:
  unha train recipes/smoke/train.json --out out/smoke
  unha train recipes/smoke/train.json --out out/smoke --resume
  unha train my.json --out out/a --set optimizer.lr=1e-3 --steps 500
  unha train sft.json --init out/a/last --out out/chat)";

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

TrainConfig read_config(const TrainArgs& args) {
  std::vector<std::string> set = args.set;
  if (args.steps) set.push_back(fmt::format("steps={}", *args.steps));
  if (args.seed) set.push_back(fmt::format("seed={}", *args.seed));
  // A path on the command line starts where the user is, not at the config's folder.
  if (!args.init.empty()) set.push_back("init=" + Json(std::filesystem::absolute(args.init).string()).dump());
  return load_train_config(args.config, set);
}

std::string progress_line(const RunProgress& p) {
  const StepStats& s = p.stats;
  std::string line = fmt::format("step {}/{} loss {:.4f}", s.step, p.steps, s.loss);
  if (s.loss_mtp > 0) line += fmt::format(" mtp {:.4f}", s.loss_mtp);
  if (p.bpb > 0) line += fmt::format(" bpb {:.4f}", p.bpb);
  line += fmt::format(" lr {:.2e} norm {:.2f} {} tokens/s {:.3f} TFLOP/s", s.lr, s.grad_norm,
                      number_text(p.tokens_per_s), p.tflops);
  return line + ", " + duration_text(p.seconds_left) + " left";
}

int train(const Global& global, const TrainArgs& args) {
  if (args.out.empty()) throw Error(ErrorCode::kUsage, "train: --out DIR is missing");
  TrainConfig config = read_config(args);
  RunOptions options;
  options.out = args.out;
  options.resume = args.resume;
  options.stop_after = args.stop_after;
  options.isa = global.isa;
  options.numerics = pick_numerics(global, config.numerics ? std::string(numerics_name(*config.numerics)) : "");
  BuildInfo build = build_info();
  options.log_header = {{"version", build.version},  {"commit", build.commit}, {"compiler", build.compiler},
                        {"machine", machine_text()}, {"host", host_name()},    {"config", args.config}};
  Threads threads(global.threads);
  StopSignals signals;
  StatusLine status(global.quiet);
  RunEvents events;
  std::string last_line;
  events.progress = [&](const RunProgress& p) {
    last_line = progress_line(p);
    status.show(last_line);
  };
  events.note = [&](const std::string& text) { status.log(text); };
  events.stop = [&] { return signals.requested(); };
  PosixFileSystem fs;
  RunResult result = run_training(config, options, events, threads, fs);
  if (!last_line.empty()) status.finish(last_line);
  if (!global.quiet) {
    fmt::print(stderr, "{} at step {} of {}: {}\n", result.finished ? "finished" : "stopped", result.steps_done,
               config.steps, result.checkpoint);
  }
  return result.stopped ? signals.exit_code() : 0;
}

}  // namespace

void add_train_command(CLI::App& root, Global& global, Action& action) {
  auto args = std::make_shared<TrainArgs>();
  CLI::App* cmd = root.add_subcommand("train", "train a model from a config");
  cmd->footer(kTrainFooter);
  cmd->add_option("CONFIG", args->config, "training config (JSON); relative paths in it start at its folder")
      ->required();
  cmd->add_option("--out", args->out, "folder of the run: checkpoints, DIR/last, log.jsonl")->type_name("DIR");
  cmd->add_option("--init", args->init, "start from this model's weights")->type_name("MODEL");
  cmd->add_option("--steps", args->steps, "length of the run and of its schedule");
  cmd->add_option("--seed", args->seed, "of initial values and of the order of documents");
  cmd->add_option("--set", args->set, "key=value for any key of the config, nested ones with dots")->type_name("K=V");
  cmd->add_flag("--resume", args->resume, "go on from DIR/last; start at 0 if there is none");
  cmd->add_option("--stop-after", args->stop_after, "save at this step and stop; the schedule stays")
      ->type_name("STEP");
  cmd->callback([&global, &action, args] { action = [&global, args] { return train(global, *args); }; });
}

}  // namespace unha
