// SPDX-License-Identifier: Apache-2.0
#include "app/template_cmd.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "app/template_options.h"
#include "base/error.h"
#include "base/json.h"

namespace unha {

namespace {

constexpr const char* kRenderHelp =
    R"(Each line of standard input is a conversation and gives one line:
  {"messages": [...], "tools": ..., "options": {...}}  ->  {"text": "...", "parts": [["control"|"text", "..."], ...]}
  a conversation that the template refuses             ->  {"error": "..."}
  anything else                                        ->  {"error": "..."}, and exit 1 after the last line
Options: add_generation_prompt, thinking, drop_thinking. A part "control" is one token, a part "text" never holds one.
Example:
  echo '{"messages":[{"role":"user","content":"Hi"}],"options":{"add_generation_prompt":true}}' |
    unha template render deepseek-v3 --jsonl

Sentences that a vendor's template inserts are the vendor's. They come from the model, or from a prose file: a JSON
object, name -> text (`unha template list` shows the names), or a file of the vendor's that holds them:
tokenizer_config.json, a Jinja template, encoding_dsv32.py.
  {"default_system": "You are helpful."}                                      for smollm2
  {"tools": "... {tool_schemas} ...", "response_format": "... {schema}", "developer": "... {}"}  for deepseek-v3.2)";

struct RenderArgs {
  std::string name, model, prose;
  bool jsonl = false;
};

Json parts_json(const std::vector<ChatPiece>& pieces) {
  Json parts = Json::array();
  for (const ChatPiece& piece : pieces) parts.push_back({piece.control ? "control" : "text", piece.text});
  return parts;
}

Json render_row(const ChatTemplate& chat, const Json& row, const std::string& what) {
  std::vector<Message> messages = read_any_messages(row["messages"], what);
  ChatOptions options = read_chat_options(row.value("options", Json()), what);
  std::vector<ChatPiece> pieces = chat.render(messages, options);
  return {{"text", joined_text(pieces)}, {"parts", parts_json(pieces)}};
}

int render(const RenderArgs& args) {
  Prose prose;
  if (!args.prose.empty()) prose.add(prose_of_file(args.prose));
  if (!args.model.empty()) prose.add(prose_of_model(args.model));
  return template_rows(ChatTemplate::named(args.name, std::move(prose)), std::cin, std::cout);
}

int list() {
  for (const std::string& name : ChatTemplate::names()) {
    auto chat = ChatTemplate::named(name);
    std::string needs;
    if (!chat.prose_names().empty()) needs = fmt::format("; prose: {}", fmt::join(chat.prose_names(), ", "));
    fmt::print("{:<24}{}{}\n", name, chat.about(), needs);
  }
  return 0;
}

}  // namespace

int template_rows(const ChatTemplate& chat, std::istream& in, std::ostream& out) {
  int code = 0;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    std::string what = fmt::format("row {}", number);
    Json answer;
    try {
      Json row;
      try {
        row = parse_json(line, what);
        if (!row.is_object() || !row.contains("messages")) {
          throw_error(ErrorCode::kInvalidArgument, "{}: expected an object with \"messages\"", what);
        }
      } catch (const Error&) {
        code = 1;
        throw;
      }
      answer = render_row(chat, row, what);
    } catch (const Error& e) {
      answer = {{"error", e.hint().empty() ? e.message() : e.message() + "; " + e.hint()}};
    }
    out << answer.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
  }
  if (in.bad()) throw_error(ErrorCode::kResource, "standard input: reading failed");
  return code;
}

void add_template_command(CLI::App& root, Global&, Action& action) {
  CLI::App* cmd = root.add_subcommand("template", "chat templates: messages to the text that a model sees");
  cmd->require_subcommand(1);
  cmd->footer("unha template COMMAND --help shows options and an example.");
  auto args = std::make_shared<RenderArgs>();
  CLI::App* row = cmd->add_subcommand("render", "conversations on standard input to text, with its control tokens");
  row->add_option("NAME", args->name, "a template, see unha template list")->required();
  row->add_flag("--jsonl", args->jsonl, "one conversation per line, see below")->required();
  row->add_option("--model", args->model, "take the vendor's sentences from this model")->type_name("PATH");
  row->add_option("--prose", args->prose, "take them from this file; it goes before --model")->type_name("FILE");
  row->footer(kRenderHelp);
  row->callback([args, &action] { action = [args] { return render(*args); }; });
  CLI::App* names = cmd->add_subcommand("list", "the templates: name, models, prose that they need");
  names->callback([&action] { action = [] { return list(); }; });
}

}  // namespace unha
