// SPDX-License-Identifier: Apache-2.0
#include "app/run_cmd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "app/generate_options.h"
#include "app/reply_printer.h"
#include "app/signals.h"
#include "app/template_options.h"
#include "base/error.h"
#include "io/file.h"

namespace unha {

namespace {

struct RunArgs {
  std::string model;
  std::optional<std::string> prompt, file, ids;
  bool raw = false, json = false, stats = false;
  GenerateArgs generate;
};

constexpr const char* kFooter = R"(Examples:
  unha run models/unha-tiny -p "What is 12 + 34?"
  unha run models/unha-tiny -f question.txt --temperature 0 --stats
  unha run out/smoke/last --raw -p "Once upon a time" --max-tokens 100
  unha run tests/goldens/v3-mtp --ids 1,2,3 --speculative mtp --json)";

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

std::string prompt_text(const RunArgs& args) {
  if (args.prompt) return *args.prompt;
  if (args.file) return read_file(*args.file);
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  return text;
}

ChatPrompt prompt_of(const Engine& engine, const RunArgs& args, const std::optional<ChatTemplate>& chat) {
  if (args.ids) return {parse_ids(*args.ids), false};
  engine.need_tokenizer();
  std::string text = prompt_text(args);
  if (!chat) {
    if (!args.generate.system.empty()) {
      throw Error(ErrorCode::kUsage, "--system needs a chat template",
                  args.raw ? "leave --raw out" : "the model has none");
    }
    return {engine.encode_raw(text), false};
  }
  // The line end of a file or of `echo` is not part of a question.
  if (!args.prompt && !text.empty() && text.back() == '\n') text.pop_back();
  std::vector<Message> messages;
  if (!args.generate.system.empty()) messages.push_back({"system", args.generate.system});
  messages.push_back({"user", text});
  return chat_prompt(engine, *chat, messages, args.generate.think);
}

int run(const Global& global, const RunArgs& args) {
  if (int(args.prompt.has_value()) + int(args.file.has_value()) + int(args.ids.has_value()) > 1) {
    throw Error(ErrorCode::kUsage, "run: -p, -f and --ids exclude each other",
                "give one of them, or text on standard input");
  }
  GenerateOptions options = generate_options(args.generate);
  options.digest = args.json;
  auto engine = open_engine(global, args.model, args.generate.context, args.generate.prefill_chunk, args.generate.mmap);
  std::optional<ChatTemplate> chat;
  if (!args.raw && !args.ids) chat = pick_template(*engine, args.generate.chat_template, args.generate.prose);
  auto [prompt, in_thought] = prompt_of(*engine, args, chat);
  options.begins_in_thought = in_thought;
  options.end_ids = end_ids(*engine, chat);
  auto session = open_session(*engine, options.speculate);
  StopSignals signals;
  options.go_on = [&] { return !signals.requested(); };
  ReplyPrinter printer(stdout);
  if (!args.json) options.on_text = [&](std::string_view text, bool thinking) { printer.print(text, thinking); };
  Generated reply = generate(*engine, *session, prompt, options);
  if (args.json) {
    Json out = {{"text", reply.text},
                {"ids", reply.ids},
                {"prompt_ids", prompt},
                {"finish", finish_name(reply.finish)},
                {"stats", stats_json(*engine, reply.stats)},
                {"logits_digest", reply.logits_digest}};
    fmt::print("{}\n", out.dump());
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
  CLI::App* cmd = root.add_subcommand("run", "answer one prompt");
  cmd->footer(kFooter);
  cmd->add_option("MODEL", args->model, "model folder")->required();
  cmd->add_option("-p,--prompt", args->prompt, "the prompt; without -p, -f and --ids it is read from standard input")
      ->type_name("TEXT");
  cmd->add_option("-f,--file", args->file, "read the prompt from a file")->type_name("FILE");
  cmd->add_option("--ids", args->ids, "the prompt as token ids: 1,2,3")->type_name("IDS");
  cmd->add_flag("--raw", args->raw, "continue the text as it is, without the chat template");
  cmd->add_flag("--json", args->json, "one JSON object: text, ids, prompt_ids, finish, stats, logits_digest");
  cmd->add_flag("--stats", args->stats, "speed and memory on stderr");
  add_generate_options(*cmd, args->generate, "of the random numbers; default: 0");
  cmd->callback([&global, &action, args] { action = [&global, args] { return run(global, *args); }; });
}

}  // namespace unha
