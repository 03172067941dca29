// SPDX-License-Identifier: Apache-2.0
#include "text/templates/deepseek_jinja.h"

#include "text/templates/deepseek_tokens.h"

namespace unha::deepseek {

void write_systems(const TemplateInput& input, Pieces& out) {
  bool first = true;
  for (const Message& message : input.messages) {
    if (message.role != "system") continue;
    if (!first) out.text("\n\n");
    out.text(text_of(message));
    first = false;
  }
}

void write_typed_call(const ToolCall& call, Pieces& out) {
  out.control(kCall);
  out.text(type_of(call));
  out.control(kSep);
  out.text(name_of(call));
  out.text("\n```json\n");
  out.text(arguments_of(call));
  out.text("\n```");
  out.control(kEndCall);
}

void write_output(const Message& message, Pieces& out) {
  out.control(kOutput);
  out.text(text_of(message));
  out.control(kEndOutput);
}

std::string_view behind_last_thought(std::string_view content) {
  size_t at = content.rfind(kEndThink);
  return at == std::string_view::npos ? content : content.substr(at + kEndThink.size());
}

std::string_view behind_first_thought(std::string_view content) {
  size_t at = content.find(kEndThink);
  return at == std::string_view::npos ? content : content.substr(at + kEndThink.size());
}

}  // namespace unha::deepseek
