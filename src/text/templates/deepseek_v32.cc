// SPDX-License-Identifier: Apache-2.0
// DeepSeek V3.2: no Jinja text but an encoding script, whose refusals are kept. The user's turn asks for the reply, so
// add_generation_prompt does not matter. ｜DSML｜ is ordinary text in V3.2's tokenizer. One thing is stricter here: a
// question or a tool's result without text is refused, where the script writes "None".
#include "base/error.h"
#include "text/python_json.h"
#include "text/templates/deepseek_tokens.h"
#include "text/templates/family.h"

namespace unha {

namespace {

using namespace deepseek;

constexpr std::string_view kDsml = "｜DSML｜";
const char* const kName = "deepseek-v3.2";

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what); }

// A Python format string: field(name) writes the value of {name}. Error if it is not well formed.
template <class Field>
void format(const std::string& prose, const std::string& name, Pieces& out, const Field& field) {
  for (size_t at = 0; at < prose.size();) {
    size_t brace = prose.find_first_of("{}", at);
    out.text(std::string_view(prose).substr(at, brace - at));
    if (brace == std::string::npos) return;
    if (brace + 1 < prose.size() && prose[brace + 1] == prose[brace]) {
      out.text(std::string_view(prose).substr(brace, 1));
      at = brace + 2;
      continue;
    }
    size_t close = prose.find('}', brace);
    std::string key;
    if (prose[brace] == '{' && close != std::string::npos) key = prose.substr(brace + 1, close - brace - 1);
    if (prose[brace] == '}' || close == std::string::npos || !field(key)) {
      throw_error(ErrorCode::kInvalidArgument, "{}: prose \"{}\": no such field at byte {}: {}", kName, name, brace,
                  prose.substr(brace, 24));
    }
    at = close + 1;
  }
}

class Renderer {
 public:
  Renderer(const TemplateInput& input, Pieces& out)
      : messages_(input.messages), prose_(input.prose), thinking_(input.options.thinking), out_(out) {
    for (size_t i = 0; i < messages_.size(); ++i) {
      if (messages_[i].role == "user" || messages_[i].role == "developer") last_user_ = static_cast<int64_t>(i);
    }
  }

  // The script drops these messages and then misses them.
  void check_dropped() const {
    for (int64_t i = 0; i < last_user_; ++i) {
      const std::string& role = messages_[static_cast<size_t>(i)].role;
      if (role == "user" || role == "system" || role == "tool" || role == "assistant") continue;
      throw_error(ErrorCode::kInvalidArgument,
                  "message {}: a message with role \"{}\" before the last question: the vendor's script fails on it in "
                  "thinking mode",
                  i, role);
    }
  }

  void run() {
    out_.control(kBos);
    for (size_t i = 0; i < messages_.size(); ++i) write(i);
  }

 private:
  void write(size_t i) {
    const Message& message = messages_[i];
    if (message.role == "system") {
      if (message.content_is == Given::kOther) text_of(message);
      out_.text(message.content);
      write_sections(message);
    } else if (message.role == "developer") {
      write_developer(message, i);
    } else if (message.role == "user") {
      out_.control(kUser);
      out_.text(text_of(message));
      end_question(i);
    } else if (message.role == "tool") {
      write_result(message, i);
    } else if (message.role == "assistant") {
      write_reply(message, i);
    } else {
      throw_error(ErrorCode::kInvalidArgument, "message {}: unknown role \"{}\"", i, message.role);
    }
  }

  bool after_last_user(size_t i) const { return static_cast<int64_t>(i) > last_user_; }

  void end_question(size_t i) {
    out_.control(kAssistant);
    out_.control(thinking_ && static_cast<int64_t>(i) == last_user_ ? kThink : kEndThink);
  }

  // Tools and a schema, where the message has them.
  void write_sections(const Message& message) {
    if (!message.tools.is_null() && !message.tools.empty()) {
      out_.text("\n\n");
      write_tools(message.tools);
    }
    if (message.response_format.is_null() || message.response_format.empty()) return;
    out_.text("\n\n");
    format(prose_.need("response_format", kName), "response_format", out_, [&](const std::string& key) {
      if (key == "schema") out_.text(python_json(message.response_format));
      return key == "schema";
    });
  }

  void write_tools(const Json& tools) {
    if (!tools.is_array()) refuse("\"tools\": expected a list");
    std::string schemas;
    for (const Json& tool : tools) {
      if (!tool.is_object() || !tool.contains("function")) refuse("\"tools\": expected objects with \"function\"");
      if (!schemas.empty()) schemas += '\n';
      schemas += python_json(tool["function"]);
    }
    format(prose_.need("tools", kName), "tools", out_, [&](const std::string& key) {
      if (key == "tool_schemas") {
        out_.text(schemas);
      } else if (key == "dsml_token") {
        out_.text(kDsml);
      } else if (key == "thinking_start_token") {
        out_.control(kThink);
      } else if (key == "thinking_end_token") {
        out_.control(kEndThink);
      } else {
        return false;
      }
      return true;
    });
  }

  void write_developer(const Message& message, size_t i) {
    if (text_of(message).empty()) refuse("a message with role \"developer\" must not be empty");
    out_.control(kUser);
    write_sections(message);
    format(prose_.need("developer", kName), "developer", out_, [&](const std::string& key) {
      if (key.empty()) out_.text(message.content);
      return key.empty();
    });
    end_question(i);
  }

  // Results are told apart by their order alone.
  void write_result(const Message& message, size_t i) {
    auto asked = static_cast<int64_t>(i) - 1;
    while (asked >= 0 && messages_[static_cast<size_t>(asked)].role == "tool") --asked;
    // Behind nothing the script looks at the last message instead, as Python does.
    const Message& caller = asked < 0 ? messages_.back() : messages_[static_cast<size_t>(asked)];
    if (i != 0 && (asked < 0 || caller.role != "assistant")) refuse("a tool's result must follow an assistant message");
    size_t order = static_cast<size_t>(static_cast<int64_t>(i) - asked);
    if (caller.tool_calls.size() < order) refuse("a tool's result without a tool call");
    if (order == 1) out_.text("\n\n<function_results>");
    out_.text("\n<result>");
    out_.text(text_of(message));
    out_.text("</result>");
    if (order != caller.tool_calls.size()) return;
    out_.text("\n</function_results>\n\n");
    out_.control(thinking_ && static_cast<int64_t>(i) >= last_user_ ? kThink : kEndThink);
  }

  void write_call(const ToolCall& call) {
    Json arguments = parse_json(arguments_of(call), "a tool call's arguments");
    if (!arguments.is_object()) refuse("a tool call's \"arguments\" must be a JSON object");
    out_.text(fmt::format("<{}invoke name=\"{}\">\n", kDsml, name_of(call)));
    const char* between = "";
    for (const auto& item : arguments.items()) {
      bool text = item.value().is_string();
      out_.text(fmt::format("{}<{}parameter name=\"{}\" string=\"{}\">", between, kDsml, item.key(), text));
      out_.text(text ? item.value().get<std::string>() : python_json(item.value()));
      out_.text(fmt::format("</{}parameter>", kDsml));
      between = "\n";
    }
    out_.text(fmt::format("\n</{}invoke>", kDsml));
  }

  void write_reply(const Message& message, size_t i) {
    if (message.tool_calls_are == Given::kOther) calls_of(message);
    if (thinking_ && after_last_user(i)) {
      if (message.reasoning_content.empty() && message.tool_calls.empty()) {
        refuse("in thinking mode an assistant message behind the last question needs reasoning_content or tool_calls");
      }
      out_.text(message.reasoning_content);
      out_.control(kEndThink);
    }
    if (message.content_is == Given::kOther) text_of(message);
    out_.text(message.content);
    if (!message.tool_calls.empty()) {
      out_.text(fmt::format("\n\n<{}function_calls>\n", kDsml));
      for (size_t n = 0; n < message.tool_calls.size(); ++n) {
        if (n > 0) out_.text("\n");
        write_call(message.tool_calls[n]);
      }
      out_.text(fmt::format("\n</{}function_calls>", kDsml));
    }
    out_.control(kEos);
  }

  std::span<const Message> messages_;
  const Prose& prose_;
  bool thinking_;
  Pieces& out_;
  int64_t last_user_ = -1;
};

void render(const TemplateInput& input, Pieces& out) {
  Renderer renderer(input, out);
  if (input.options.thinking && input.options.drop_thinking) renderer.check_dropped();
  renderer.run();
}

}  // namespace

std::vector<TemplateFamily> deepseek_v32_templates() {
  return {{kName,
           "DeepSeek-V3.2, by its encoding script",
           {std::string(kEos)},
           {"tools", "response_format", "developer"},
           render}};
}

}  // namespace unha
