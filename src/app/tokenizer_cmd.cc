// SPDX-License-Identifier: Apache-2.0
#include "app/tokenizer_cmd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>

#include "app/progress.h"
#include "base/error.h"
#include "base/json.h"
#include "io/file.h"
#include "text/base64.h"
#include "text/bpe_trainer.h"
#include "text/stream_decoder.h"
#include "text/tokenizer_config.h"
#include "text/utf8.h"

namespace unha {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string read_all(std::istream& in) {
  std::string text;
  std::vector<char> block(1 << 16);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    text.append(block.data(), static_cast<size_t>(in.gcount()));
  }
  if (in.bad()) throw_error(ErrorCode::kResource, "standard input: reading failed");
  return text;
}

// Ids without a token are fine, they decode to nothing; but an id is a number within 0 and 2^31 - 1.
int32_t parse_id(std::string_view word) {
  int32_t id = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error != std::errc() || end != word.data() + word.size() || id < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("standard input: expected token ids, found {}", quoted_name(word)),
                "give whole numbers separated by spaces");
  }
  return id;
}

std::vector<int32_t> row_ids(JsonReader& row, const char* key) {
  const Json& list = row.at(key);
  if (!list.is_array()) throw_error(ErrorCode::kInvalidArgument, "\"{}\" must be a list of ids", key);
  std::vector<int32_t> ids;
  for (const Json& item : list) {
    if (!item.is_number_integer() || item < 0 || item > INT32_MAX) {
      throw_error(ErrorCode::kInvalidArgument, "\"{}\": expected an id, found {}", key,
                  item.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40));
    }
    ids.push_back(item.get<int32_t>());
  }
  return ids;
}

// Golden rows carry their expected results beside the task, so the tasks that are no result come first.
Json answer_row(const Tokenizer& tokenizer, const Json& json, const std::string& what) {
  JsonReader row(json, what);
  if (row.has("decode")) {
    std::string bytes = tokenizer.decode_bytes(row_ids(row, "decode"), row.get("skip_special", false));
    return {{"text", lossy_utf8(bytes)}, {"bytes", base64(bytes)}};
  }
  if (row.has("stream")) {
    StreamDecoder decoder(tokenizer, row.get("skip_special", false));
    Json texts = Json::array();
    std::string shown;
    for (int32_t id : row_ids(row, "stream")) {
      shown += decoder.push(id);
      texts.push_back(shown);
    }
    return {{"texts", std::move(texts)}, {"final", shown + decoder.finish()}};
  }
  if (row.has("text")) {
    EncodeOptions options;
    options.parse_added = row.get("parse_added", true);
    options.add_special = row.get("add_special", false);
    Json ids = Json::array();
    for (int32_t id : tokenizer.encode(row.require<std::string>("text"), options)) ids.push_back(id);
    return {{"ids", std::move(ids)}};
  }
  throw_error(ErrorCode::kInvalidArgument, "{}: expected \"text\", \"decode\" or \"stream\"", what);
}

void save_tokenizer(const std::string& folder, const std::string& json) {
  namespace fs = std::filesystem;
  std::string file = (fs::path(folder) / "tokenizer.json").string();
  if (fs::exists(file)) {
    if (read_file(file) != json) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: there is another tokenizer already", file),
                  "choose another --out, or remove it");
    }
  }
  PosixFileSystem().make_dir(folder);
  write_file_atomic(file, json);
  write_file_atomic((fs::path(folder) / "tokenizer_config.json").string(), our_tokenizer_config_json());
}

}  // namespace

std::string tokenizer_train(const TokenizerTrainOptions& options, Threads& threads) {
  auto start = std::chrono::steady_clock::now();
  BpeTrainer trainer(threads);
  for (const std::string& path : options.files) {
    MappedFile file = MappedFile::open(path);
    trainer.add_text({reinterpret_cast<const char*>(file.data()), static_cast<size_t>(file.size())}, path);
  }
  std::string json = trainer.train(options.vocab_size);
  Tokenizer tokenizer = Tokenizer::parse(json, "the trained tokenizer");
  save_tokenizer(options.out, json);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::string line = fmt::format("{}: {} tokens from {} MB in {}", options.out, tokenizer.size(),
                                 number_text(static_cast<double>(trainer.bytes()) * 1e-6), duration_text(seconds));
  if (tokenizer.size() < options.vocab_size) {
    line += fmt::format(" (fewer than {}: no further pair occurs twice in the text)", options.vocab_size);
  }
  return line;
}

void tokenizer_encode(const Tokenizer& tokenizer, std::istream& in, std::ostream& out) {
  std::string text = read_all(in);
  size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("standard input: not valid UTF-8 at byte {}", invalid),
                "convert it first, for example with iconv");
  }
  std::string line;
  for (int32_t id : tokenizer.encode(text)) {
    if (!line.empty()) line += ' ';
    line += std::to_string(id);
  }
  out << line << '\n';
}

void tokenizer_decode(const Tokenizer& tokenizer, std::istream& in, std::ostream& out) {
  std::string text = read_all(in);
  std::vector<int32_t> ids;
  for (size_t at = text.find_first_not_of(kBlanks); at != std::string::npos; at = text.find_first_not_of(kBlanks, at)) {
    size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    ids.push_back(parse_id(std::string_view(text).substr(at, end - at)));
    at = end;
  }
  out << tokenizer.decode_bytes(ids);
}

int tokenizer_rows(const Tokenizer& tokenizer, std::istream& in, std::ostream& out) {
  int code = 0;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    Json answer;
    try {
      std::string what = fmt::format("row {}", number);
      answer = answer_row(tokenizer, parse_json(line, what), what);
    } catch (const Error& e) {
      answer = {{"error", e.message()}};
      code = 1;
    }
    out << answer.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
  }
  if (in.bad()) throw_error(ErrorCode::kResource, "standard input: reading failed");
  return code;
}

namespace {

constexpr const char* kTrainHelp = R"(Example:
  unha tokenizer train texts/*.txt --vocab-size 16384 --out my-tokenizer
The vocabulary holds 12 control tokens, the 256 bytes and what is learned. Single digits stay single. Equal files give
equal bytes.)";
constexpr const char* kRowsHelp = R"(With --jsonl, each line of standard input is a task and gives one line:
  {"text": "..."}        -> {"ids": [...]}            also "add_special" (default false), "parse_added" (default true)
  {"decode": [1, 2]}     -> {"text": "...", "bytes": "base64"}            also "skip_special" (default false)
  {"stream": [1, 2]}     -> {"texts": [...], "final": "..."}              also "skip_special"
  anything else          -> {"error": "..."}, and exit 1 after the last line)";

struct CodeOptions {
  std::string model;
  bool jsonl = false;
};

void add_train(CLI::App& tokenizer, Global& global, Action& action) {
  auto options = std::make_shared<TokenizerTrainOptions>();
  CLI::App* train = tokenizer.add_subcommand("train", "learn a byte-level BPE vocabulary from text files");
  train->add_option("files", options->files, "UTF-8 text files")->required()->type_name("FILES");
  train->add_option("--vocab-size", options->vocab_size, "tokens in all, control tokens and bytes included")
      ->required()
      ->check(CLI::Range(BpeTrainer::kMinVocab, BpeTrainer::kMaxVocab))
      ->type_name("N");
  train->add_option("--out", options->out, "folder for tokenizer.json and tokenizer_config.json")
      ->required()
      ->type_name("DIR");
  train->footer(kTrainHelp);
  train->callback([options, &global, &action] {
    action = [options, &global] {
      Threads threads(global.threads);
      StatusLine status(global.quiet);
      status.log(tokenizer_train(*options, threads));
      return 0;
    };
  });
}

void add_code(CLI::App& tokenizer, Action& action, bool encode) {
  auto options = std::make_shared<CodeOptions>();
  CLI::App* command =
      encode ? tokenizer.add_subcommand("encode", "text on standard input to token ids")
             : tokenizer.add_subcommand("decode", "token ids on standard input to the bytes of their tokens");
  command->add_option("model", options->model, "a model's folder, or a tokenizer.json")
      ->required()
      ->type_name("MODEL_OR_FILE");
  command->add_flag("--jsonl", options->jsonl, "one task per line, see below");
  command->footer(kRowsHelp);
  command->callback([options, encode, &action] {
    action = [options, encode] {
      Tokenizer loaded = Tokenizer::load(options->model);
      if (options->jsonl) return tokenizer_rows(loaded, std::cin, std::cout);
      if (encode) {
        tokenizer_encode(loaded, std::cin, std::cout);
      } else {
        tokenizer_decode(loaded, std::cin, std::cout);
      }
      std::cout.flush();
      return 0;
    };
  });
}

}  // namespace

void add_tokenizer_command(CLI::App& root, Global& global, Action& action) {
  CLI::App* tokenizer = root.add_subcommand("tokenizer", "train a tokenizer; text to token ids and back");
  tokenizer->require_subcommand(1);
  tokenizer->footer("unha tokenizer COMMAND --help shows options and an example.");
  add_train(*tokenizer, global, action);
  add_code(*tokenizer, action, true);
  add_code(*tokenizer, action, false);
}

}  // namespace unha
