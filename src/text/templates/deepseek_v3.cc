// SPDX-License-Identifier: Apache-2.0
// DeepSeek V3 of December 2024, R1 and the R1 distills: <Assistant> is written by the assistant's turn, and what the
// first tool call and the first tool result write is written once in a conversation, even in later rounds.
#include "text/templates/deepseek_jinja.h"
#include "text/templates/deepseek_tokens.h"
#include "text/templates/family.h"

namespace unha {

namespace {

using namespace deepseek;

struct State {
  bool called = false;      // a tool call has been written
  bool in_tool = false;     // the last message was a tool's
  bool has_output = false;  // a tool's result has been written
};

void write_result(const Message& message, std::string_view between, State& state, Pieces& out) {
  state.in_tool = true;
  if (state.has_output) {
    out.text(between);
  } else {
    out.control(kOutputs);
    state.has_output = true;
  }
  write_output(message, out);
}

// V3 and the distills: calls count only where content is null, and the closing pair stands behind every call but the
// first of the conversation.
void write_v3_calls(const Message& message, State& state, Pieces& out) {
  state.in_tool = false;
  if (message.tool_calls_are == Given::kAbsent) return;
  for (const ToolCall& call : calls_of(message)) {
    if (!state.called) {
      out.control(kAssistant);
      out.control(kCalls);
      write_typed_call(call, out);
      state.called = true;
    } else {
      out.text("\n");
      write_typed_call(call, out);
      out.control(kEndCalls);
      out.control(kEos);
    }
  }
}

void write_reply(const Message& message, bool strip, State& state, Pieces& out) {
  if (state.in_tool) {
    out.control(kEndOutputs);
    out.text(text_of(message));
    state.in_tool = false;
  } else {
    out.control(kAssistant);
    out.text(strip ? behind_last_thought(text_of(message)) : text_of(message));
  }
  out.control(kEos);
}

void end_prompt(const TemplateInput& input, bool opens_thought, const State& state, Pieces& out) {
  if (state.in_tool) out.control(kEndOutputs);
  if (!input.options.add_generation_prompt || state.in_tool) return;
  out.control(kAssistant);
  if (!opens_thought) return;
  out.control(kThink);
  out.text("\n");
}

void write_v3_messages(const TemplateInput& input, bool distill, Pieces& out) {
  State state;
  for (const Message& message : input.messages) {
    if (message.role == "user") {
      state.in_tool = false;
      out.control(kUser);
      out.text(text_of(message));
    } else if (message.role == "assistant" && message.content_is == Given::kNull) {
      write_v3_calls(message, state, out);
    } else if (message.role == "assistant") {
      write_reply(message, distill, state, out);
    } else if (message.role == "tool") {
      write_result(message, "\n", state, out);
    }  // the vendor's template passes over other roles
  }
  end_prompt(input, distill, state, out);
}

void render_v3(const TemplateInput& input, Pieces& out) {
  out.control(kBos);
  write_systems(input, out);
  write_v3_messages(input, false, out);
}

void render_distill(const TemplateInput& input, Pieces& out) {
  out.control(kBos);
  const Message* last = nullptr;
  for (const Message& message : input.messages) {
    if (message.role == "system") last = &message;
  }
  if (last != nullptr && last->content_is != Given::kAbsent) out.text(text_of(*last));
  write_v3_messages(input, true, out);
}

// R1: calls count wherever the key is, behind the content if there is one.
void write_r1_calls(const Message& message, State& state, Pieces& out) {
  state.in_tool = false;
  for (const ToolCall& call : calls_of(message)) {
    if (!state.called) {
      out.control(kAssistant);
      if (message.content_is != Given::kNull) out.text(text_of(message));
      out.control(kCalls);
      state.called = true;
    } else {
      out.text("\n");
    }
    write_typed_call(call, out);
  }
  out.control(kEndCalls);
  out.control(kEos);
}

void render_r1(const TemplateInput& input, Pieces& out) {
  out.control(kBos);
  write_systems(input, out);
  State state;
  for (const Message& message : input.messages) {
    if (message.role == "user") {
      state.in_tool = false;
      out.control(kUser);
      out.text(text_of(message));
    } else if (message.role == "assistant" && message.tool_calls_are != Given::kAbsent) {
      write_r1_calls(message, state, out);
    } else if (message.role == "assistant") {
      write_reply(message, true, state, out);
    } else if (message.role == "tool") {
      write_result(message, "", state, out);
    }
  }
  end_prompt(input, true, state, out);
}

}  // namespace

std::vector<TemplateFamily> deepseek_v3_templates() {
  std::string eos(kEos);
  return {{"deepseek-v3", "DeepSeek-V3 (December 2024)", {eos}, {}, render_v3},
          {"deepseek-r1", "DeepSeek-R1 (January 2025)", {eos}, {}, render_r1},
          {"r1-distill-llama", "DeepSeek-R1-Distill-Llama", {eos}, {}, render_distill},
          {"r1-distill-qwen", "DeepSeek-R1-Distill-Qwen; the same as r1-distill-llama", {eos}, {}, render_distill}};
}

}  // namespace unha
