// SPDX-License-Identifier: Apache-2.0
// unha corpus build|encode|stats: see corpus/build.h, corpus/encode.h, corpus/stats.h.
#pragma once

#include "app/global_options.h"

namespace unha {

void add_corpus_command(CLI::App& root, Global& global, Action& action);

}  // namespace unha
