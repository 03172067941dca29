// SPDX-License-Identifier: Apache-2.0
#include "app/chat_cmd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <random>

#include "app/chat_session.h"
#include "app/line_reader.h"
#include "app/model_place.h"
#include "app/reply_printer.h"
#include "app/signals.h"
#include "base/error.h"

namespace unha {

namespace {

struct ChatArgs {
  std::string model;
  std::optional<std::string> prompt;
  bool stats = false;
  GenerateArgs generate;
};

constexpr const char* kChatFooter = R"(Examples:
  unha chat
  unha chat out/chat/last --temperature 0.3 --think hide
  unha chat -p "What is 12 + 34?"
  printf 'Hello!\nWhat can you do?\n' | unha chat
Without a terminal each line of standard input is one question. When the context is full, the oldest turns are
forgotten.)";

void print_error(const Error& error) {
  fmt::print(stderr, "unha: error: {}{}{}\n", error.message(), error.hint().empty() ? "" : "; ", error.hint());
}

class Repl {
 public:
  Repl(ChatSession& chat, bool quiet) : chat_(chat), quiet_(quiet), lines_(state_file("history")), printer_(stdout) {}

  // Asks one thing; errors go up.
  void ask(const std::string& question) {
    GenerateOptions streams;
    streams.on_text = [&](std::string_view text, bool thinking) { printer_.print(text, thinking); };
    streams.go_on = [&] { return !signals_.requested(); };
    chat_.ask(question, streams);
    printer_.end();
  }

  int loop(const std::string& model) {
    if (lines_.terminal() && !quiet_) fmt::print(stderr, "{}: /help lists commands, /exit leaves\n", model);
    bool failed = false;
    int interrupts = 0;  // Ctrl-C at the prompt, one behind the other
    while (true) {
      std::optional<std::string> line = lines_.read("> ");
      if (signals_.requested()) {
        if (signals_.signal() == SIGTERM || !lines_.terminal() || ++interrupts == 2) return signals_.exit_code();
        signals_.reset();
        fmt::print(stderr, "\nCtrl-C again or /exit leaves\n");
        continue;
      }
      interrupts = 0;
      if (!line) break;
      try {
        if (!handle(*line)) break;
      } catch (const Error& error) {
        printer_.end();
        print_error(error);
        failed = !lines_.terminal();
      }
      if (signals_.requested()) {  // the reply was stopped, the conversation goes on
        if (signals_.signal() == SIGTERM || !lines_.terminal()) return signals_.exit_code();
        signals_.reset();
      }
    }
    if (lines_.terminal()) fmt::print("\n");
    return failed ? 1 : 0;
  }

  int exit_code() const { return signals_.requested() ? signals_.exit_code() : 0; }

 private:
  bool handle(const std::string& line) {
    size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos) return true;
    if (line[begin] == '/') return chat_.command(line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin));
    ask(line);
    return true;
  }

  ChatSession& chat_;
  bool quiet_;
  StopSignals signals_;
  LineReader lines_;
  ReplyPrinter printer_;
};

int chat(const Global& global, const ChatArgs& args) {
  GenerateArgs generate = args.generate;
  if (!generate.seed) generate.seed = std::random_device()();
  generate_options(generate);
  std::string model = args.model.empty() ? bundled_model() : args.model;
  auto engine = open_engine(global, model, generate.context, generate.prefill_chunk, generate.mmap);
  ChatSession session(*engine, generate, [](const std::string& text) { fmt::print(stderr, "{}\n", text); });
  Repl repl(session, global.quiet);
  int code = 0;
  if (args.prompt) {
    repl.ask(*args.prompt);
    code = repl.exit_code();
  } else {
    code = repl.loop(model);
  }
  if (args.stats) fmt::print(stderr, "{}\n", session.stats());
  return code;
}

}  // namespace

void add_chat_command(CLI::App& root, Global& global, Action& action) {
  auto args = std::make_shared<ChatArgs>();
  CLI::App* cmd = root.add_subcommand("chat", "talk to a model");
  cmd->footer(kChatFooter);
  cmd->add_option("MODEL", args->model, "model folder; default: the bundled models/unha-tiny");
  cmd->add_option("-p,--prompt", args->prompt, "ask this, print the reply and leave")->type_name("TEXT");
  cmd->add_flag("--stats", args->stats, "speed, memory and seed on stderr at the end");
  add_generate_options(*cmd, args->generate, "of the random numbers; default: drawn, /stats shows it");
  cmd->callback([&global, &action, args] { action = [&global, args] { return chat(global, *args); }; });
}

}  // namespace unha
