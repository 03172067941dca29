// SPDX-License-Identifier: Apache-2.0
// `unha chat [MODEL]`: a conversation, on a terminal or through pipes.
#pragma once

#include "app/global_options.h"

namespace unha {

void add_chat_command(CLI::App& root, Global& global, Action& action);

}  // namespace unha
