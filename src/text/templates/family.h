// SPDX-License-Identifier: Apache-2.0
// What a file of this folder offers: templates that share their mechanics. A new one is a file here and a line in
// chat_template.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_message.h"
#include "text/prose.h"

namespace unha {

struct TemplateInput {
  std::span<const Message> messages;
  const ChatOptions& options;
  const Prose& prose;
};

struct TemplateFamily {
  std::string name;   // as `model` in chat goldens
  std::string about;  // one line for people
  std::vector<std::string> end_tokens;
  std::vector<std::string> prose_names;
  void (*render)(const TemplateInput& input, Pieces& out);
};

std::vector<TemplateFamily> unha_templates();
std::vector<TemplateFamily> deepseek_v2_templates();
std::vector<TemplateFamily> deepseek_v3_templates();
std::vector<TemplateFamily> deepseek_v3_0324_templates();
std::vector<TemplateFamily> deepseek_v31_templates();
std::vector<TemplateFamily> deepseek_v32_templates();
std::vector<TemplateFamily> smollm2_templates();

// The content, where the template writes it. Error(kInvalidArgument) if it is null, absent or no text.
const std::string& text_of(const Message& message);
// Members of a tool call, where the template writes them; Error(kInvalidArgument) in the same way.
const std::string& type_of(const ToolCall& call);
const std::string& name_of(const ToolCall& call);
const std::string& arguments_of(const ToolCall& call);
// The calls of a message that says it has some. Error(kInvalidArgument) if they are null or no list.
const std::vector<ToolCall>& calls_of(const Message& message);

}  // namespace unha
