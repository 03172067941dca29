// SPDX-License-Identifier: Apache-2.0
#include "app/run_rows.h"

#include <fmt/format.h>

#include <cstdio>
#include <limits>
#include <string>

#include "base/error.h"

namespace unha {

namespace {

// The ids to read; takes what the row says of drawing into `options`.
ChatPrompt read_row(const Json& json, const std::string& what, const Prompts& prompts, GenerateOptions& options) {
  JsonReader row(json, what);
  if (row.has("prompt") == row.has("messages")) {
    throw_error(ErrorCode::kInvalidArgument, "{}: expected either \"prompt\" or \"messages\"", what);
  }
  if (row.has("seed")) {
    const Json& seed = row.at("seed");
    if (!seed.is_number_unsigned()) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"seed\": expected an integer from 0 to 2^64 - 1", what);
    }
    options.sampling.seed = seed.get<uint64_t>();
  }
  options.max_tokens = row.get_int("max_tokens", options.max_tokens, 1, std::numeric_limits<int64_t>::max());
  if (row.has("prompt")) {
    auto text = row.require<std::string>("prompt");
    row.finish();
    return prompts.from_text(text);
  }
  std::vector<Message> messages = read_any_messages(row.at("messages"), what + ": \"messages\"");
  row.finish();
  return prompts.from_messages(std::move(messages));
}

}  // namespace

Json reply_json(Engine& engine, const std::vector<int32_t>& prompt, const Generated& reply) {
  Json out = {{"text", reply.text},
              {"ids", reply.ids},
              {"prompt_ids", prompt},
              {"finish", finish_name(reply.finish)},
              {"stats", stats_json(engine, reply.stats)},
              {"logits_digest", reply.logits_digest}};
  if (reply.logprobs.empty()) return out;
  Json rows = Json::array();
  for (const TokenLogprob& row : reply.logprobs) {
    Json top = Json::array();
    for (const auto& [id, logprob] : row.top) top.push_back(Json::array({id, logprob}));
    rows.push_back({{"logprob", row.logprob}, {"top", top}});
  }
  out["logprobs"] = rows;
  return out;
}

int run_rows(Engine& engine, Session& session, const Prompts& prompts, const GenerateOptions& options,
             std::istream& rows, const StopSignals& signals, bool stats) {
  int code = 0;
  std::string line;
  for (int64_t number = 1; !signals.requested() && std::getline(rows, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    std::string what = fmt::format("row {}", number);
    try {
      GenerateOptions own = options;
      ChatPrompt prompt = read_row(parse_json(line, what), what, prompts, own);
      own.begins_in_thought = prompt.in_thought;
      Generated reply = generate(engine, session, prompt.ids, own);
      fmt::print("{}\n", reply_json(engine, prompt.ids, reply).dump());
      if (stats) fmt::print(stderr, "{}\n", stats_text(engine, reply.stats));
    } catch (const Error& error) {
      std::string text = error.hint().empty() ? error.message() : error.message() + "; " + error.hint();
      fmt::print("{}\n", Json{{"error", text}}.dump(-1, ' ', false, Json::error_handler_t::replace));
      code = 1;
    }
    std::fflush(stdout);
  }
  return signals.requested() ? signals.exit_code() : code;
}

}  // namespace unha
