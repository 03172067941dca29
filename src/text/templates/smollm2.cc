// SPDX-License-Identifier: Apache-2.0
// SmolLM2-Instruct (ChatML). A conversation that does not begin with a system message gets the vendor's own.
#include "text/templates/family.h"

namespace unha {

namespace {

constexpr std::string_view kStart = "<|im_start|>";
constexpr std::string_view kEnd = "<|im_end|>";

void write_turn(std::string_view role, std::string_view content, Pieces& out) {
  out.control(kStart);
  out.text(role);
  out.text("\n");
  out.text(content);
  out.control(kEnd);
  out.text("\n");
}

void render(const TemplateInput& input, Pieces& out) {
  if (!input.messages.empty() && input.messages[0].role != "system") {
    write_turn("system", input.prose.need("default_system", "smollm2"), out);
  }
  for (const Message& message : input.messages) write_turn(message.role, text_of(message), out);
  if (!input.options.add_generation_prompt) return;
  out.control(kStart);
  out.text("assistant\n");
}

}  // namespace

std::vector<TemplateFamily> smollm2_templates() {
  return {{"smollm2", "SmolLM2-Instruct", {std::string(kEnd)}, {"default_system"}, render}};
}

}  // namespace unha
