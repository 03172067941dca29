// SPDX-License-Identifier: Apache-2.0
// `unha template render | list`. The function that does the work takes streams, so that tests can call it.
#pragma once

#include <iosfwd>

#include "app/global_options.h"
#include "text/chat_template.h"

namespace unha {

void add_template_command(CLI::App& root, Global& global, Action& action);

// Rows {"messages", "options"} -> {"text", "parts": [["control"|"text", text]...]}; a row that the template refuses
// gives {"error"}. Returns the exit code: 1 if a row was no object with "messages".
int template_rows(const ChatTemplate& chat, std::istream& in, std::ostream& out);

}  // namespace unha
