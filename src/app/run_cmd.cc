// SPDX-License-Identifier: Apache-2.0
#include "app/run_cmd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <sstream>

#include "app/generate_options.h"
#include "app/prompts.h"
#include "app/reply_printer.h"
#include "app/run_rows.h"
#include "app/signals.h"
#include "base/error.h"
#include "io/file.h"

namespace unha {

namespace {

struct RunArgs {
  std::string model;
  std::optional<std::string> prompt, file, ids;
  bool raw = false, json = false, jsonl = false, stats = false;
  std::optional<int64_t> logprobs;
  GenerateArgs generate;
};

constexpr const char* kRunFooter = R"(Examples:
  unha run models/unha-tiny -p "What is 12 + 34?"
  unha run models/unha-tiny -f question.txt --temperature 0 --stats
  unha run out/smoke/last --raw -p "Once upon a time" --max-tokens 100
  unha run tests/goldens/v3-mtp --ids 1,2,3 --speculative mtp --json
  unha run models/unha-tiny --jsonl -f questions.jsonl > answers.jsonl)";

std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  while (true) {
    while (at != end && *at == ' ') ++at;
    int32_t id = 0;
    auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc() || id < 0) {
      throw Error(ErrorCode::kUsage,
                  fmt::format("--ids: expected token ids at byte {}, found '{}'", at - text.data(),
                              std::string_view(at, static_cast<size_t>(end - at)).substr(0, 20)),
                  "write them as 1,2,3");
    }
    ids.push_back(id);
    at = next;
    while (at != end && *at == ' ') ++at;
    if (at == end) return ids;
    if (*at == ',') ++at;
  }
}

ChatPrompt prompt_of(const Prompts& prompts, const RunArgs& args) {
  if (args.prompt) return prompts.from_text(*args.prompt);
  std::string text = args.file ? read_file(*args.file) : std::string(std::istreambuf_iterator<char>(std::cin), {});
  // The line end of a file or of `echo` is not part of a question.
  if (prompts.chats() && !text.empty() && text.back() == '\n') text.pop_back();
  return prompts.from_text(text);
}

// Rows of a file or of standard input, one model for all.
int run_batch(const RunArgs& args, Engine& engine, Session& session, const Prompts& prompts,
              const GenerateOptions& options, const StopSignals& signals) {
  if (!args.file) return run_rows(engine, session, prompts, options, std::cin, signals, args.stats);
  std::istringstream rows(read_file(*args.file));
  return run_rows(engine, session, prompts, options, rows, signals, args.stats);
}

void check_args(const RunArgs& args) {
  if (int(args.prompt.has_value()) + int(args.file.has_value()) + int(args.ids.has_value()) > 1) {
    throw Error(ErrorCode::kUsage, "run: -p, -f and --ids exclude each other",
                "give one of them, or text on standard input");
  }
  if (args.jsonl && (args.prompt || args.ids)) {
    throw Error(ErrorCode::kUsage, "run: --jsonl reads its prompts from rows",
                "give -f FILE or rows on standard input");
  }
  if (args.logprobs && !args.json && !args.jsonl) {
    throw Error(ErrorCode::kUsage, "run: --logprobs is part of --json and --jsonl", "give one of them");
  }
  if (args.logprobs && *args.logprobs < 0) {
    throw_error(ErrorCode::kUsage, "--logprobs: expected 0 or more, found {}", *args.logprobs);
  }
}

int run(const Global& global, const RunArgs& args) {
  check_args(args);
  GenerateOptions options = generate_options(args.generate);
  options.digest = args.json || args.jsonl;
  options.logprobs = args.logprobs.value_or(-1);
  auto engine = open_engine(global, args.model, args.generate.context, args.generate.prefill_chunk, args.generate.mmap);
  std::optional<Prompts> prompts;
  if (!args.ids) prompts.emplace(*engine, args.raw, args.generate);
  ChatPrompt prompt{{}, false};
  if (!args.jsonl) prompt = args.ids ? ChatPrompt{parse_ids(*args.ids), false} : prompt_of(*prompts, args);
  options.begins_in_thought = prompt.in_thought;
  options.end_ids = prompts ? prompts->end_ids() : engine->end_ids();
  auto session = open_session(*engine, options.speculate);
  StopSignals signals;
  options.go_on = [&] { return !signals.requested(); };
  if (args.jsonl) return run_batch(args, *engine, *session, *prompts, options, signals);
  ReplyPrinter printer(stdout);
  if (!args.json) options.on_text = [&](std::string_view text, bool thinking) { printer.print(text, thinking); };
  Generated reply = generate(*engine, *session, prompt.ids, options);
  if (args.json) {
    fmt::print("{}\n", reply_json(*engine, prompt.ids, reply).dump());
  } else if (engine->tokenizer() == nullptr) {
    for (size_t i = 0; i < reply.ids.size(); ++i) fmt::print("{}{}", i > 0 ? "," : "", reply.ids[i]);
    fmt::print("\n");
  } else {
    printer.end();
  }
  if (args.stats) fmt::print(stderr, "{}\n", stats_text(*engine, reply.stats));
  return reply.finish == Finish::kInterrupted ? signals.exit_code() : 0;
}

}  // namespace

void add_run_command(CLI::App& root, Global& global, Action& action) {
  auto args = std::make_shared<RunArgs>();
  CLI::App* cmd = root.add_subcommand("run", "answer one prompt, or a batch of them");
  cmd->footer(kRunFooter);
  cmd->add_option("MODEL", args->model, "model folder")->required();
  cmd->add_option("-p,--prompt", args->prompt, "the prompt; without -p, -f and --ids it is read from standard input")
      ->type_name("TEXT");
  cmd->add_option("-f,--file", args->file, "read the prompt from a file")->type_name("FILE");
  cmd->add_option("--ids", args->ids, "the prompt as token ids: 1,2,3")->type_name("IDS");
  cmd->add_flag("--raw", args->raw, "continue the text as it is, without the chat template");
  cmd->add_flag("--json", args->json, "one JSON object: text, ids, prompt_ids, finish, stats, logits_digest");
  cmd->add_flag(
      "--jsonl", args->jsonl,
      "answer rows {\"prompt\"} or {\"messages\"}, with \"seed\" and \"max_tokens\" if wanted, of -f or standard "
      "input: an object of --json per row, {\"error\"} for a row that cannot be answered");
  cmd->add_option("--logprobs", args->logprobs,
                  "with --json or --jsonl: log-probabilities of each token drawn and of the K most probable")
      ->type_name("K");
  cmd->add_flag("--stats", args->stats, "speed and memory on stderr");
  add_generate_options(*cmd, args->generate, "of the random numbers; default: 0");
  cmd->callback([&global, &action, args] { action = [&global, args] { return run(global, *args); }; });
}

}  // namespace unha
