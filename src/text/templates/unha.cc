// SPDX-License-Identifier: Apache-2.0
// The template of the models that Unha trains; chat_template.h shows its form.
#include "base/error.h"
#include "text/templates/family.h"

namespace unha {

namespace {

// The marks of reasoning are the model's own: in a reply they are tokens.
void add_reply(Pieces& out, std::string_view text) {
  while (!text.empty()) {
    std::string_view mark = "<think>";
    size_t at = text.find(mark);
    size_t end_at = text.find("</think>");
    if (end_at < at) {
      mark = "</think>";
      at = end_at;
    }
    out.text(text.substr(0, at), true);
    if (at == std::string_view::npos) return;
    out.control(mark, true);
    text.remove_prefix(at + mark.size());
  }
}

void render(const TemplateInput& input, Pieces& out) {
  out.control("<bos>");
  for (size_t i = 0; i < input.messages.size(); ++i) {
    const Message& message = input.messages[i];
    if (message.role == "system" && i == 0) {
      out.text(text_of(message));
    } else if (message.role == "user") {
      out.control("<user>");
      out.text(text_of(message));
    } else if (message.role == "assistant") {
      out.control("<assistant>");
      add_reply(out, text_of(message));
      out.control("<eos>", true);
    } else {
      throw_error(ErrorCode::kInvalidArgument,
                  "message {}: expected role user or assistant, or system as the first message; found \"{}\"", i,
                  message.role);
    }
  }
  if (input.options.add_generation_prompt) out.control("<assistant>");
}

}  // namespace

std::vector<TemplateFamily> unha_templates() { return {{"unha", "models that Unha trains", {"<eos>"}, {}, render}}; }

}  // namespace unha
