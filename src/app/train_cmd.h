// SPDX-License-Identifier: Apache-2.0
// `unha train CONFIG --out DIR`: pre-training and fine-tuning.
#pragma once

#include "app/global_options.h"

namespace unha {

void add_train_command(CLI::App& root, Global& global, Action& action);

}  // namespace unha
