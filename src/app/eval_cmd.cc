// SPDX-License-Identifier: Apache-2.0
#include "app/eval_cmd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "app/generate_options.h"
#include "app/progress.h"
#include "app/signals.h"
#include "base/error.h"
#include "corpus/eval_set.h"
#include "engine/bpb.h"
#include "engine/ppl.h"
#include "io/file.h"

namespace unha {

namespace {

constexpr int64_t kPplContext = 512;

struct EvalArgs {
  std::string model;
  std::vector<std::string> files;
  int64_t context = 0;
  int64_t limit = 0;
  int64_t max_tokens = 512;
  bool json = false;
  bool mmap = false;
};

struct FileScore {
  std::string path;
  int64_t bytes = 0;
  TextScore score;
};

Json bpb_json(int64_t bytes, const TextScore& score) {
  return {{"bytes", bytes}, {"tokens", score.tokens}, {"bpb", score.bits_per_byte(bytes)}};
}

// As plain text: no token of the text is a control token.
std::vector<int32_t> encode_text(const Engine& engine, const std::string& path, const std::string& text) {
  try {
    return engine.need_tokenizer().encode(text, {.parse_added = false, .add_special = false});
  } catch (const Error& error) {
    throw Error(error.code(), path + ": " + error.message(), error.hint());
  }
}

std::vector<int32_t> encode_file(const Engine& engine, const std::string& path, int64_t* bytes) {
  std::string text = read_file(path);
  if (text.empty())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: the file is empty", path), "nothing to score");
  *bytes = static_cast<int64_t>(text.size());
  if (engine.bos_id() < 0) {
    throw_error(ErrorCode::kInvalidArgument, "{}: the model names no <bos> token to start with", path);
  }
  std::vector<int32_t> ids = encode_text(engine, path, text);
  ids.insert(ids.begin(), engine.bos_id());
  return ids;
}

void print_scores(const std::vector<FileScore>& scores, int64_t bytes, const TextScore& total, bool json) {
  if (json) {
    Json out{{"files", Json::array()}, {"total", bpb_json(bytes, total)}};
    for (const FileScore& s : scores) {
      Json row{{"path", s.path}};
      row.update(bpb_json(s.bytes, s.score));
      out["files"].push_back(row);
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("{:>12}{:>12}{:>9}  {}\n", "bytes", "tokens", "bpb", "file");
  auto row = [](int64_t b, const TextScore& s, const std::string& name) {
    fmt::print("{:>12}{:>12}{:>9.4f}  {}\n", b, s.tokens, s.bits_per_byte(b), name);
  };
  for (const FileScore& s : scores) row(s.bytes, s.score, s.path);
  if (scores.size() > 1) row(bytes, total, "total");
}

int eval_bpb(const Global& global, const EvalArgs& args) {
  auto engine = open_engine(global, args.model, args.context, 256, args.mmap);
  std::vector<std::vector<int32_t>> texts;
  std::vector<FileScore> scores;
  double all = 0;
  for (const std::string& path : args.files) {
    FileScore score{path, 0, {}};
    texts.push_back(encode_file(*engine, path, &score.bytes));
    scores.push_back(score);
    all += static_cast<double>(texts.back().size() - 1);
  }
  StopSignals signals;
  Progress progress(global.quiet, "scoring", "tokens", all);
  TextScore total;
  int64_t bytes = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    auto before = static_cast<double>(total.tokens);
    scores[i].score = score_text(engine->ctx(), engine->model(), texts[i], engine->context(), [&](int64_t done) {
      progress.update(before + static_cast<double>(done));
      return !signals.requested();
    });
    if (signals.requested()) return signals.exit_code();
    total.tokens += scores[i].score.tokens;
    total.nats += scores[i].score.nats;
    bytes += scores[i].bytes;
  }
  progress.finish();
  print_scores(scores, bytes, total, args.json);
  return 0;
}

int eval_ppl(const Global& global, const EvalArgs& args) {
  if (args.context < 1) throw_error(ErrorCode::kUsage, "--ctx: expected 1 or more, found {}", args.context);
  const std::string& path = args.files.front();
  std::string text = read_file(path);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  auto engine = open_engine(global, args.model, args.context, 256, args.mmap);
  std::vector<int32_t> ids = encode_text(*engine, path, text);
  int32_t bos = engine->adds_bos() ? engine->bos_id() : -1;
  if (bos >= 0) ids.insert(ids.begin(), bos);
  StopSignals signals;
  auto chunks = static_cast<int64_t>(ids.size()) / args.context;
  Progress progress(global.quiet, "scoring", "chunks", static_cast<double>(chunks));
  Perplexity result = perplexity(engine->ctx(), engine->model(), ids, args.context, bos, [&](int64_t done) {
    progress.update(static_cast<double>(done));
    return !signals.requested();
  });
  if (signals.requested()) return signals.exit_code();
  progress.finish();
  if (args.json) {
    Json out{{"ppl", result.ppl()}, {"tokens_scored", result.tokens_scored()}, {"chunks", result.chunks}};
    fmt::print("{}\n", out.dump(2));
  } else {
    fmt::print("perplexity {:.5f} over {} tokens in {} chunks of {}\n", result.ppl(), result.tokens_scored(),
               result.chunks.size(), args.context);
  }
  return 0;
}

// The reply with its marks of thought and without the end token, as the verifier reads it.
std::string reply_text(const Engine& engine, std::vector<int32_t> ids) {
  std::vector<int32_t> ends = engine.end_ids();
  while (!ids.empty() && std::find(ends.begin(), ends.end(), ids.back()) != ends.end()) ids.pop_back();
  return engine.tokenizer()->decode(ids);
}

class TaskRunner {
 public:
  TaskRunner(Engine& engine, const ChatTemplate& chat, int64_t max_tokens)
      : engine_(engine), chat_(chat), session_(engine, engine.context()) {
    options_.sampling.temperature = 0;
    options_.max_tokens = max_tokens;
  }

  // Answers greedily, or chooses the most probable of the choices.
  bool right(const corpus::EvalItem& item, const std::function<bool()>& go_on) {
    std::vector<Message> messages = {{"user", item.question}};
    std::vector<int32_t> prompt = chat_.encode(*engine_.tokenizer(), messages, {.add_generation_prompt = true});
    if (!item.choices.empty()) return choose(prompt, item);
    options_.go_on = go_on;
    Generated reply = generate(engine_, session_, prompt, options_);
    return corpus::verify(item, reply_text(engine_, reply.ids));
  }

 private:
  bool choose(const std::vector<int32_t>& prompt, const corpus::EvalItem& item) {
    std::vector<double> scores;
    for (const std::string& choice : item.choices) {
      scores.push_back(score(engine_, prompt, engine_.tokenizer()->encode(choice, {.parse_added = false})));
    }
    auto best = static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    return item.choices[best] == item.accepted[0];
  }

  Engine& engine_;
  const ChatTemplate& chat_;
  Session session_;
  GenerateOptions options_;
};

void print_cells(const std::vector<corpus::EvalCell>& cells, bool json) {
  auto share = [](const corpus::EvalCell& c) { return static_cast<double>(c.right) / static_cast<double>(c.asked); };
  corpus::EvalCell total;
  Json rows = Json::array();
  if (!json) fmt::print("{:<18}{:<8}{:<20}{:>7}{:>7}{:>9}\n", "task", "range", "group", "right", "asked", "exact");
  auto line = [&](const corpus::EvalCell& c, const char* range) {
    fmt::print("{:<18}{:<8}{:<20}{:>7}{:>7}{:>8.1f}%\n", c.task, range, c.group, c.right, c.asked, 100 * share(c));
  };
  for (const corpus::EvalCell& c : cells) {
    total.right += c.right;
    total.asked += c.asked;
    rows.push_back({{"task", c.task},
                    {"in_range", c.in_range},
                    {"group", c.group},
                    {"right", c.right},
                    {"asked", c.asked},
                    {"exact", share(c)}});
    if (!json) line(c, c.in_range ? "in" : "out");
  }
  if (total.asked == 0) throw Error(ErrorCode::kInvalidArgument, "eval tasks: the files hold no question", "");
  if (json) {
    Json all{{"right", total.right}, {"asked", total.asked}, {"exact", share(total)}};
    fmt::print("{}\n", Json{{"cells", rows}, {"total", all}}.dump(2));
  } else {
    total.task = "total";
    line(total, "");
  }
}

int eval_tasks(const Global& global, const EvalArgs& args) {
  std::vector<corpus::EvalItem> items;
  for (const std::string& file : args.files) {
    std::vector<corpus::EvalItem> some = corpus::read_eval_set(file);
    if (args.limit > 0 && static_cast<int64_t>(some.size()) > args.limit) some.resize(static_cast<size_t>(args.limit));
    items.insert(items.end(), some.begin(), some.end());
  }
  auto engine = open_engine(global, args.model, args.context, 256, args.mmap);
  engine->need_tokenizer();
  std::optional<ChatTemplate> chat = engine->chat_template();
  if (!chat)
    throw Error(ErrorCode::kInvalidArgument, args.model + ": the model has no chat template",
                "fine-tune it on chats first");
  StopSignals signals;
  Progress progress(global.quiet, "asking", "questions", static_cast<double>(items.size()));
  TaskRunner runner(*engine, *chat, args.max_tokens);
  corpus::EvalTally tally;
  double asked = 0;
  for (const corpus::EvalItem& item : items) {
    bool right = runner.right(item, [&] { return !signals.requested(); });
    if (signals.requested()) return signals.exit_code();
    tally.add(item, right);
    progress.update(++asked);
  }
  progress.finish();
  print_cells(tally.cells(), args.json);
  return 0;
}

}  // namespace

void add_eval_command(CLI::App& root, Global& global, Action& action) {
  auto args = std::make_shared<EvalArgs>();
  CLI::App* group = root.add_subcommand("eval", "measure a model");
  group->require_subcommand(1);
  const char* context_help = "context in tokens; 0: the model's, at most 8192";
  auto common = [](CLI::App* cmd, EvalArgs& to, const char* context) {
    cmd->add_option("MODEL", to.model, "model folder")->required();
    cmd->add_option("--ctx", to.context, context)->capture_default_str();
    cmd->add_flag("--json", to.json, "one JSON object on standard output");
    add_mmap_option(*cmd, to.mmap);
  };
  CLI::App* bpb = group->add_subcommand("bpb", "bits per byte of text files: windows of the context, stride of half");
  common(bpb, *args, context_help);
  bpb->add_option("FILES", args->files, "text files, UTF-8")->required();
  bpb->footer("Examples:\n  unha eval bpb models/unha-tiny book.txt notes.txt --json");
  bpb->callback([&global, &action, args] { action = [&global, args] { return eval_bpb(global, *args); }; });
  CLI::App* ppl =
      group->add_subcommand("ppl", "perplexity of a text as llama-perplexity counts it: second halves of chunks");
  auto ppl_args = std::make_shared<EvalArgs>();
  ppl_args->context = kPplContext;
  common(ppl, *ppl_args, "tokens of a chunk");
  ppl->add_option("FILE", ppl_args->files, "text file, UTF-8; one line end at its end is dropped")
      ->required()
      ->expected(1);
  ppl->footer("Examples:\n  unha eval ppl model.gguf book.txt --ctx 512 --json");
  ppl->callback([&global, &action, ppl_args] { action = [&global, ppl_args] { return eval_ppl(global, *ppl_args); }; });
  CLI::App* tasks = group->add_subcommand("tasks", "exact answers to test questions, asked greedily in the chat form");
  common(tasks, *args, context_help);
  tasks->add_option("FILES", args->files, "question files of a corpus: DIR/eval/*.jsonl")->required();
  tasks->add_option("--limit", args->limit, "ask only the first N of each file; 0: all")->capture_default_str();
  tasks->add_option("--max-tokens", args->max_tokens, "end a reply after this many")->capture_default_str();
  tasks->footer("Examples:\n  unha eval tasks models/unha-tiny out/corpus/eval/addition.jsonl --limit 100");
  tasks->callback([&global, &action, args] { action = [&global, args] { return eval_tasks(global, *args); }; });
}

}  // namespace unha
