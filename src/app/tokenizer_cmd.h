// SPDX-License-Identifier: Apache-2.0
// `unha tokenizer train | encode | decode`. The functions that do the work take streams, so that tests can call them.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "app/global_options.h"
#include "base/threads.h"
#include "text/tokenizer.h"

namespace unha {

void add_tokenizer_command(CLI::App& root, Global& global, Action& action);

struct TokenizerTrainOptions {
  std::vector<std::string> files;
  int64_t vocab_size = 0;
  std::string out;  // folder for tokenizer.json and tokenizer_config.json
};
// Returns one line about what was made. Equal files give equal bytes, whatever the number of threads. A folder that
// holds another tokenizer is refused.
std::string tokenizer_train(const TokenizerTrainOptions& options, Threads& threads);

// All of `in` as one text -> ids separated by spaces, and a newline.
void tokenizer_encode(const Tokenizer& tokenizer, std::istream& in, std::ostream& out);
// Ids separated by white space -> their bytes.
void tokenizer_decode(const Tokenizer& tokenizer, std::istream& in, std::ostream& out);
// Rows {"text"}, {"decode": ids}, {"stream": ids} -> {"ids"}, {"text", "bytes"}, {"texts", "final"}; a bad row gives
// {"error"}. Returns the exit code: 1 if a row was bad.
int tokenizer_rows(const Tokenizer& tokenizer, std::istream& in, std::ostream& out);

}  // namespace unha
