// SPDX-License-Identifier: Apache-2.0
// DeepSeek V3-0324 and R1-0528: the user's turn writes <Assistant> too, and every round of tool calls opens and closes
// its own marks.
#include "text/templates/deepseek_jinja.h"
#include "text/templates/deepseek_tokens.h"
#include "text/templates/family.h"

namespace unha {

namespace {

using namespace deepseek;

struct State {
  bool after_user = false;
  bool in_tool = false;
  bool has_output = false;  // of this round
};

void write_calls(const Message& message, bool strip, State& state, Pieces& out) {
  state.after_user = false;
  if (state.in_tool) out.control(kEndOutputs);
  state.in_tool = false;
  state.has_output = false;
  bool first = true;
  for (const ToolCall& call : calls_of(message)) {
    if (first) {
      if (message.content_is != Given::kNull) {
        out.text(strip ? behind_last_thought(text_of(message)) : text_of(message));
      }
      out.control(kCalls);
      first = false;
    } else {
      out.text("\n");
    }
    write_typed_call(call, out);
  }
  out.control(kEndCalls);
  out.control(kEos);
}

void write_reply(const Message& message, bool strip, State& state, Pieces& out) {
  state.after_user = false;
  if (state.in_tool) out.control(kEndOutputs);
  state.in_tool = false;
  out.text(strip ? behind_last_thought(text_of(message)) : text_of(message));
  out.control(kEos);
}

void write_result(const Message& message, State& state, Pieces& out) {
  state.after_user = false;
  state.in_tool = true;
  if (state.has_output) {
    out.text("\n");
  } else {
    out.control(kOutputs);
    state.has_output = true;
  }
  write_output(message, out);
}

void render(const TemplateInput& input, bool strip, Pieces& out) {
  out.control(kBos);
  write_systems(input, out);
  State state;
  for (const Message& message : input.messages) {
    bool calls = message.tool_calls_are == Given::kValue || message.tool_calls_are == Given::kOther;
    if (message.role == "user") {
      state.in_tool = false;
      state.after_user = true;
      out.control(kUser);
      out.text(text_of(message));
      out.control(kAssistant);
    } else if (message.role == "assistant") {
      // R1-0528 looks for a thought in it first, so it fails on null.
      if (strip && message.content_is != Given::kAbsent) text_of(message);
      if (calls) {
        write_calls(message, strip, state, out);
      } else {
        write_reply(message, strip, state, out);
      }
    } else if (message.role == "tool") {
      write_result(message, state, out);
    }  // the vendor's template passes over other roles
  }
  if (state.in_tool) out.control(kEndOutputs);
  if (input.options.add_generation_prompt && !state.after_user && !state.in_tool) out.control(kAssistant);
}

void render_v3_0324(const TemplateInput& input, Pieces& out) { render(input, false, out); }
void render_r1_0528(const TemplateInput& input, Pieces& out) { render(input, true, out); }

}  // namespace

std::vector<TemplateFamily> deepseek_v3_0324_templates() {
  std::string eos(kEos);
  return {{"deepseek-v3-0324", "DeepSeek-V3-0324", {eos}, {}, render_v3_0324},
          {"deepseek-r1-0528", "DeepSeek-R1-0528, R1-0528-Qwen3-8B", {eos}, {}, render_r1_0528}};
}

}  // namespace unha
