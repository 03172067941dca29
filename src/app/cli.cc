// SPDX-License-Identifier: Apache-2.0
#include "app/cli.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "app/bench_cmd.h"
#include "app/chat_cmd.h"
#include "app/conform_cmd.h"
#include "app/corpus_cmd.h"
#include "app/eval_cmd.h"
#include "app/global_options.h"
#include "app/inspect_cmd.h"
#include "app/run_cmd.h"
#include "app/suggest.h"
#include "app/template_cmd.h"
#include "app/tokenizer_cmd.h"
#include "app/train_cmd.h"
#include "app/version.h"
#include "base/error.h"

namespace unha {

namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

constexpr const char* kExamples = R"(Examples:
  unha chat                                      talk to the bundled model
  unha run MODEL -p "Why is the sky blue?"       one answer on standard output
  unha train recipes/smoke/train.json --out out/smoke
  unha COMMAND --help                            options and examples of a command)";

void add_commands(CLI::App& root, Global& global, Action& action) {
  add_chat_command(root, global, action);
  add_run_command(root, global, action);
  add_corpus_command(root, global, action);
  add_tokenizer_command(root, global, action);
  add_template_command(root, global, action);
  add_train_command(root, global, action);
  add_eval_command(root, global, action);
  add_inspect_command(root, global, action);
  add_bench_command(root, global, action);
  add_conform_command(root, global, action);
}

void add_global_options(CLI::App& root, Global& global) {
  const char* group = "Options of every command";
  root.add_option("--threads", global.threads, "threads; 0: all cores. Results do not depend on it")->group(group);
  root.add_option("--isa", global.isa_text,
                  "ceiling for instructions: " + tier_list() + "; default: $UNHA_ISA or the best")
      ->type_name("T")
      ->group(group);
  root.add_option("--numerics", global.numerics_text,
                  "what is computed: auto (as the model says), " + class_list() + "; default: auto")
      ->type_name("C")
      ->group(group);
  root.add_flag("--allow-unknown-keys", global.allow_unknown_keys,
                "pass over keys of a model's config.json that are not known here; they may matter")
      ->group(group);
  root.add_flag("--quiet", global.quiet, "no progress and no notes on stderr")->group(group);
  root.add_flag_callback(
          "--version", [] { throw CLI::CallForVersion(version_text(), 0); },
          "version, commit, compiler, tiers and classes of this machine")
      ->group(group);
}

// The error contract: exactly one line, whatever the message holds.
void print_error(const std::string& message, const std::string& hint) {
  std::string line = message;
  if (!hint.empty()) line += "; " + hint;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  std::fflush(stdout);
  fmt::print(stderr, "unha: error: {}\n", line);
}

// The command that parsing reached: root, `run`, or `tokenizer train`.
const CLI::App* reached(const CLI::App& root) {
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::string command_path(const CLI::App* app) {
  return app->get_parent() == nullptr ? "unha" : command_path(app->get_parent()) + " " + app->get_name();
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> option_names(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

// Words nobody took, the command's own first.
std::vector<std::string> leftovers(const CLI::App* app) {
  std::vector<std::string> words;
  for (; app != nullptr; app = app->get_parent()) {
    for (const std::string& word : app->remaining(false)) words.push_back(word);
  }
  return words;
}

Error usage_error(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App* app = reached(root);
  std::string help = fmt::format("see '{} --help'", command_path(app));
  std::string path = app->get_parent() == nullptr ? "" : command_path(app) + ": ";
  std::vector<std::string> words = leftovers(app);
  for (const std::string& word : words) {
    if (word.size() > 1 && word[0] == '-') {
      std::string nearest = nearest_word(word.substr(0, word.find('=')), option_names(app));
      return {ErrorCode::kUsage, fmt::format("{}there is no option '{}'", path, word),
              nearest.empty() ? help : fmt::format("did you mean '{}'? Otherwise {}", nearest, help)};
    }
  }
  std::vector<std::string> commands = command_names(*app);
  if (!commands.empty() || app->get_parent() == nullptr) {
    std::string choice = fmt::format("commands: {}", fmt::join(commands, ", "));
    if (words.empty()) return {ErrorCode::kUsage, fmt::format("{}a command is missing", path), choice + "; " + help};
    std::string nearest = nearest_word(words.front(), commands);
    return {ErrorCode::kUsage, fmt::format("{}there is no command '{}'", path, words.front()),
            nearest.empty() ? choice : fmt::format("did you mean '{}'? {}", nearest, choice)};
  }
  if (!words.empty()) {
    return {ErrorCode::kUsage, fmt::format("{}did not expect '{}'", path, fmt::join(words, "' '")), help};
  }
  return {ErrorCode::kUsage, fmt::format("{}{}", path, error.what()), help};
}

int parse_and_run(int argc, const char* const* argv) {
  Global global;
  Action action;
  CLI::App root("unha makes, runs and serves DeepSeek-class language models on ordinary CPUs.", "unha");
  root.fallthrough();  // options of every command are taken before and after its name
  root.require_subcommand(1);
  root.footer(kExamples);
  add_global_options(root, global);
  add_commands(root, global, action);
  try {
    root.parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return 0;
  } catch (const CLI::Success&) {
    const CLI::App* app = reached(root);  // help() puts the name of the command behind what it is given
    fmt::print("{}", app->help(app->get_parent() == nullptr ? "" : command_path(app->get_parent())));
    return 0;
  } catch (const CLI::ParseError& error) {
    throw usage_error(root, error);
  }
  UNHA_CHECK(action != nullptr, "{} has no action", command_path(reached(root)));
  resolve_global(global);
  int code = action();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw Error(ErrorCode::kResource, "standard output: writing failed", "is the disk full or the pipe closed?");
  }
  return code;
}

}  // namespace

int run_cli(int argc, const char* const* argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const Error& error) {
    print_error(error.message(), error.hint());
    return error.code() == ErrorCode::kUsage ? kExitUsage : kExitError;
  } catch (const std::bad_alloc&) {
    print_error("out of memory", "use a smaller model, context or batch");
  } catch (const std::exception& error) {
    print_error(error.what(), "");
  }
  return kExitError;
}

}  // namespace unha
