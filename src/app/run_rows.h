// SPDX-License-Identifier: Apache-2.0
// `unha run MODEL --jsonl`: a batch of prompts on one loaded model, a row in and a row out.
#pragma once

#include <istream>

#include "app/generate_options.h"
#include "app/prompts.h"
#include "app/signals.h"

namespace unha {

// What `run --json` prints of a reply.
Json reply_json(Engine& engine, const std::vector<int32_t>& prompt, const Generated& reply);

// Answers {"prompt": TEXT} or {"messages": [...]} rows, each with its own "seed" and "max_tokens" if it has them, by
// reply_json() rows on standard output; a row that cannot be answered gives {"error": TEXT}. An answer is that of a run
// of its own. stats: speed of each on stderr. Returns the exit code: 1 if there was such a row, 128 + signal if one
// came.
int run_rows(Engine& engine, Session& session, const Prompts& prompts, const GenerateOptions& options,
             std::istream& rows, const StopSignals& signals, bool stats);

}  // namespace unha
