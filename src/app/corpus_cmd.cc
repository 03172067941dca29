// SPDX-License-Identifier: Apache-2.0
#include "app/corpus_cmd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "app/progress.h"
#include "base/json.h"
#include "base/threads.h"
#include "corpus/build.h"
#include "corpus/encode.h"
#include "corpus/stats.h"

namespace unha {

namespace {

// "corpus 42 %, wordnet: extracting, 12 s left"
corpus::ProgressSink show_progress(StatusLine& line, const char* label) {
  auto start = std::chrono::steady_clock::now();
  return [&line, label, start](const corpus::Progress& progress) {
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::string text = fmt::format("{} {:.0f} %, {}", label, 100 * progress.fraction, progress.step);
    if (progress.fraction > 0.02 && progress.fraction < 1) {
      text += fmt::format(", {} left", duration_text(seconds * (1 - progress.fraction) / progress.fraction));
    }
    line.show(text);
  };
}

int encode(const std::string& dir, const std::string& tokenizer_path, const Global& global) {
  Tokenizer tokenizer = Tokenizer::load(tokenizer_path);
  Threads threads(global.threads);
  StatusLine line(global.quiet);
  int64_t tokens = 0, bytes = 0;
  for (const corpus::EncodedSource& source :
       corpus::encode_corpus(dir, tokenizer, threads, show_progress(line, "encoding"))) {
    tokens += source.tokens;
    bytes += source.text_bytes;
  }
  line.finish(fmt::format("encoded {} into {:.2f} million tokens ({:.3f} bytes each): {}/train", megabytes(bytes),
                          static_cast<double>(tokens) / 1e6,
                          static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(1, tokens)), dir));
  return 0;
}

int build(const std::string& recipe, const corpus::BuildOptions& options, const std::string& tokenizer,
          const Global& global) {
  {
    StatusLine line(global.quiet);
    corpus::BuildOptions shown = options;
    shown.progress = show_progress(line, "corpus");
    corpus::BuildResult result = corpus::build_corpus(corpus::load_recipe(recipe), shown);
    int64_t documents = 0, bytes = 0, chats = 0, heldout = 0;
    for (const corpus::SourceCounts& source : result.sources) {
      documents += source.documents;
      bytes += source.bytes;
      chats += source.chats;
      heldout += source.heldout_bytes;
    }
    line.finish(fmt::format("{}: {} in {} documents, {} conversations, {} held out, digest {}", options.out.string(),
                            megabytes(bytes), documents, chats, megabytes(heldout), result.digest.substr(0, 16)));
  }
  return tokenizer.empty() ? 0 : encode(options.out.string(), tokenizer, global);
}

Json source_json(const corpus::SourceStats& s) {
  auto number = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"name", s.name},
          {"repeat", s.repeat},
          {"documents", s.documents},
          {"bytes", s.bytes},
          {"conversations", s.chats},
          {"tokens", number(s.tokens)},
          {"bytes_per_token", number(s.bytes_per_token)},
          {"heldout_documents", s.heldout_documents},
          {"heldout_bytes", s.heldout_bytes},
          {"overlap_13", number(s.overlap_13)},
          {"overlap_8", number(s.overlap_8)},
          {"eval_questions", s.eval_questions}};
}

void print_row(const corpus::SourceStats& s) {
  auto percent = [](const std::optional<double>& share) { return share ? fmt::format("{:.2f} %", 100 * *share) : ""; };
  fmt::print("{:<18}{:>7}{:>10}{:>12}{:>11}{:>8}{:>10}{:>10}{:>9}{:>7}\n", s.name,
             s.name == "total" ? "" : fmt::format("x{}", s.repeat), s.documents, s.bytes,
             s.tokens ? fmt::format("{}", *s.tokens) : "",
             s.bytes_per_token ? fmt::format("{:.3f}", *s.bytes_per_token) : "", s.heldout_bytes, percent(s.overlap_13),
             percent(s.overlap_8), s.eval_questions);
}

int stats(const std::string& dir, bool as_json) {
  corpus::CorpusStats all = corpus::corpus_stats(dir);
  if (as_json) {
    Json sources = Json::array();
    for (const corpus::SourceStats& source : all.sources) sources.push_back(source_json(source));
    Json total = source_json(all.total);
    total.erase("name");
    total.erase("repeat");
    total["trained_tokens"] = all.trained_tokens;
    Json json{{"name", all.name},
              {"digest", all.digest},
              {"tokenizer", all.tokenizer.empty() ? Json(nullptr) : Json(all.tokenizer)},
              {"sources", sources},
              {"total", total}};
    fmt::print("{}\n", json.dump(2));
    return 0;
  }
  fmt::print("corpus {}, digest {}\n", all.name, all.digest);
  fmt::print("{:<18}{:>7}{:>10}{:>12}{:>11}{:>8}{:>10}{:>10}{:>9}{:>7}\n", "source", "repeat", "documents", "bytes",
             "tokens", "B/tok", "held-out", "13 words", "8 words", "tests");
  for (const corpus::SourceStats& source : all.sources) print_row(source);
  print_row(all.total);
  if (!all.tokenizer.empty()) fmt::print("tokens with repeats: {}; tokenizer {}\n", all.trained_tokens, all.tokenizer);
  fmt::print("13 words, 8 words: share of the held-out runs of so many words that occur in the training text\n");
  return 0;
}

struct Arguments {
  std::string recipe, out, cache, tokenizer, dir;
  bool json = false;
};

}  // namespace

void add_corpus_command(CLI::App& root, Global& global, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* group = root.add_subcommand("corpus", "build the texts that a model is trained on");
  group->require_subcommand(1);

  CLI::App* make = group->add_subcommand("build", "fetch, clean, de-duplicate and split the sources of a recipe");
  make->add_option("RECIPE", arguments->recipe, "a recipe (JSON), for example recipes/unha-tiny/corpus.json")
      ->required();
  make->add_option("--out", arguments->out, "folder for the corpus; a corpus there is replaced")
      ->required()
      ->type_name("DIR");
  make->add_option("--cache", arguments->cache, "folder for downloaded packages; default: DIR/.packages")
      ->type_name("DIR");
  make->add_option("--tokenizer", arguments->tokenizer, "encode the texts with this tokenizer as well")
      ->type_name("PATH");
  make->footer(
      "Examples:\n  unha corpus build recipes/unha-tiny/corpus.json --out out/corpus\n"
      "  unha tokenizer train out/corpus/text/*.txt --vocab-size 8192 --out out/tokenizer\n"
      "  unha corpus encode out/corpus --tokenizer out/tokenizer");
  make->callback([arguments, &global, &action] {
    action = [arguments, &global] {
      corpus::BuildOptions options;
      options.out = arguments->out;
      options.cache = arguments->cache;
      return build(arguments->recipe, options, arguments->tokenizer, global);
    };
  });

  CLI::App* shards = group->add_subcommand("encode", "make DIR/train, the token shards that training reads");
  shards->add_option("DIR", arguments->dir, "a corpus")->required();
  shards->add_option("--tokenizer", arguments->tokenizer, "tokenizer.json or its folder")
      ->required()
      ->type_name("PATH");
  shards->callback([arguments, &global, &action] {
    action = [arguments, &global] { return encode(arguments->dir, arguments->tokenizer, global); };
  });

  CLI::App* show = group->add_subcommand("stats", "sources, sizes, tokens, bytes per token, overlap of held-out text");
  show->add_option("DIR", arguments->dir, "a corpus")->required();
  show->add_flag("--json", arguments->json, "one JSON object on standard output");
  show->callback([arguments, &action] { action = [arguments] { return stats(arguments->dir, arguments->json); }; });
}

}  // namespace unha
