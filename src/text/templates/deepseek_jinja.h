// SPDX-License-Identifier: Apache-2.0
// What the templates of DeepSeek V3 to V3.1 have in common.
#pragma once

#include <string_view>

#include "text/templates/family.h"

namespace unha::deepseek {

// All system messages, wherever they stand, with an empty line between them.
void write_systems(const TemplateInput& input, Pieces& out);
// <call> type <sep> name, and the arguments in a fenced block <end of call>: V3, V3-0324, R1, R1-0528.
void write_typed_call(const ToolCall& call, Pieces& out);
// <output> content <end of output>
void write_output(const Message& message, Pieces& out);
// What stands behind the last </think>, or all of it; behind the first.
std::string_view behind_last_thought(std::string_view content);
std::string_view behind_first_thought(std::string_view content);

}  // namespace unha::deepseek
