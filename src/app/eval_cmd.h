// SPDX-License-Identifier: Apache-2.0
// `unha eval bpb | tasks`: bits per byte of text files; exact answers to test questions.
#pragma once

#include "app/global_options.h"

namespace unha {

void add_eval_command(CLI::App& root, Global& global, Action& action);

}  // namespace unha
