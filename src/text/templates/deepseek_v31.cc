// SPDX-License-Identifier: Apache-2.0
// DeepSeek V3.1 and V3.1-Terminus (V3.2-Exp too): one model that thinks or not. A reply begins with <think> or with a
// lone </think>; history always has the latter.
#include "text/templates/deepseek_jinja.h"
#include "text/templates/deepseek_tokens.h"
#include "text/templates/family.h"

namespace unha {

namespace {

using namespace deepseek;

struct State {
  bool after_user = false;
  bool in_tool = false;
  bool only_system = false;  // so far; Terminus alone looks at it
  bool prefixed = false;     // some reply was flagged as a beginning
};

void write_calls(const Message& message, bool terminus, State& state, Pieces& out) {
  if (state.after_user || (terminus && state.only_system)) {
    out.control(kAssistant);
    out.control(kEndThink);
  }
  state.after_user = false;
  state.in_tool = false;
  bool first = true;
  for (const ToolCall& call : calls_of(message)) {
    if (first) {
      if (message.content_is != Given::kNull) out.text(text_of(message));
      out.control(kCalls);
      first = false;
    }
    out.control(kCall);
    out.text(name_of(call));
    out.control(kSep);
    out.text(arguments_of(call));
    out.control(kEndCall);
  }
  out.control(kEndCalls);
  out.control(kEos);
}

void write_reply(const Message& message, bool thinking, State& state, Pieces& out) {
  if (state.after_user) {
    out.control(kAssistant);
    out.control(message.prefix && thinking ? kThink : kEndThink);
  }
  state.prefixed = state.prefixed || message.prefix;
  state.after_user = false;
  out.text(state.in_tool ? std::string_view(text_of(message)) : behind_first_thought(text_of(message)));
  state.in_tool = false;
  out.control(kEos);
}

bool asks_for_reply(const State& state, bool terminus) {
  if (state.in_tool) return false;
  if (state.after_user) return true;
  return terminus && (state.only_system || !state.prefixed);
}

void render(const TemplateInput& input, bool terminus, Pieces& out) {
  out.control(kBos);
  write_systems(input, out);
  State state;
  for (const Message& message : input.messages) state.only_system = state.only_system || message.role == "system";
  for (const Message& message : input.messages) {
    bool calls = message.tool_calls_are == Given::kValue || message.tool_calls_are == Given::kOther;
    if (message.role == "user") {
      state.in_tool = false;
      state.after_user = true;
      out.control(kUser);
      out.text(text_of(message));
    } else if (message.role == "assistant" && calls) {
      write_calls(message, terminus, state, out);
    } else if (message.role == "assistant") {
      write_reply(message, input.options.thinking, state, out);
    } else if (message.role == "tool") {
      state.after_user = false;
      state.in_tool = true;
      write_output(message, out);
    }  // the vendor's template passes over other roles
    if (message.role != "system") state.only_system = false;
  }
  if (!input.options.add_generation_prompt || !asks_for_reply(state, terminus)) return;
  out.control(kAssistant);
  out.control(input.options.thinking ? kThink : kEndThink);
}

void render_v31(const TemplateInput& input, Pieces& out) { render(input, false, out); }
void render_terminus(const TemplateInput& input, Pieces& out) { render(input, true, out); }

}  // namespace

std::vector<TemplateFamily> deepseek_v31_templates() {
  std::string eos(kEos);
  return {
      {"deepseek-v3.1", "DeepSeek-V3.1", {eos}, {}, render_v31},
      {"deepseek-v3.1-terminus", "DeepSeek-V3.1-Terminus, V3.2-Exp; from a public copy", {eos}, {}, render_terminus}};
}

}  // namespace unha
