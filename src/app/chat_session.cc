// SPDX-License-Identifier: Apache-2.0
#include "app/chat_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "io/file.h"

namespace unha {

namespace {

constexpr const char* kHelp =
    "/help            this list\n"
    "/set KEY VALUE   temperature, top-k, top-p, min-p, repetition-penalty, seed, max-tokens, system\n"
    "/think MODE      on: think and show it; hide: think, but leave it out; off: the model may not think\n"
    "/stats           speed, memory and seed\n"
    "/save FILE       write the conversation (JSON)\n"
    "/load FILE       go on with a saved one\n"
    "/reset           forget the conversation\n"
    "/exit            leave; so does the end of the input";

template <class T>
T number(const std::string& key, const std::string& text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw_error(ErrorCode::kUsage, "/set {}: expected a number, found '{}'", key, text);
  }
  return value;
}

std::pair<std::string, std::string> split_word(const std::string& text) {
  size_t end = text.find(' ');
  if (end == std::string::npos) return {text, ""};
  size_t rest = text.find_first_not_of(' ', end);
  return {text.substr(0, end), rest == std::string::npos ? "" : text.substr(rest)};
}

}  // namespace

ChatSession::ChatSession(Engine& engine, const GenerateArgs& args, std::function<void(const std::string&)> say)
    : engine_(engine), args_(args), say_(std::move(say)) {
  engine.need_tokenizer();
  template_ = pick_template(engine, args.chat_template, args.prose);
  if (!template_) {
    throw Error(ErrorCode::kInvalidArgument, "the model has no chat template",
                "choose one with --template NAME, or use unha run MODEL --raw -p TEXT");
  }
  session_ = open_session(engine, !args.speculative.empty());
  reset();
}

void ChatSession::reset() {
  messages_.clear();
  if (!args_.system.empty()) messages_.push_back({"system", args_.system});
}

// The prompt for the conversation; the oldest turns are dropped until a quarter of the context is left for the reply.
ChatPrompt ChatSession::fit_prompt() {
  int64_t room = engine_.context() - std::min(args_.max_tokens, engine_.context() / 4);
  ChatPrompt prompt = chat_prompt(engine_, *template_, messages_, args_.think);
  int64_t system = !messages_.empty() && messages_[0].role == "system" ? 1 : 0;
  while (static_cast<int64_t>(prompt.ids.size()) > room && static_cast<int64_t>(messages_.size()) > system + 1) {
    messages_.erase(messages_.begin() + system, messages_.begin() + system + 2);  // a question and its reply
    prompt = chat_prompt(engine_, *template_, messages_, args_.think);
    if (!said_forgetting_) say_("the context is full: the oldest turns are forgotten from here on");
    said_forgetting_ = true;
  }
  return prompt;
}

Finish ChatSession::ask(const std::string& question, const GenerateOptions& streams) {
  std::vector<Message> before = messages_;
  messages_.push_back({"user", question});
  try {
    GenerateOptions options = generate_options(args_);
    options.on_text = streams.on_text;
    options.go_on = streams.go_on;
    ChatPrompt prompt = fit_prompt();
    std::vector<int32_t> ends = end_ids(engine_, template_);
    options.begins_in_thought = prompt.in_thought;
    options.end_ids = ends;
    Generated reply = generate(engine_, *session_, prompt.ids, options);
    last_ = reply.stats;
    std::vector<int32_t> ids = reply.ids;
    while (!ids.empty() && std::find(ends.begin(), ends.end(), ids.back()) != ends.end()) ids.pop_back();
    messages_.push_back(reply_message(*template_, engine_.tokenizer()->decode(ids), prompt.in_thought));
    return reply.finish;
  } catch (...) {
    messages_ = before;
    throw;
  }
}

bool ChatSession::command(const std::string& line) {
  auto [name, rest] = split_word(line);
  if (name == "/exit" || name == "/quit") return false;
  if (name == "/help") {
    say_(kHelp);
  } else if (name == "/reset") {
    reset();
    say_("the conversation is forgotten");
  } else if (name == "/stats") {
    say_(stats());
  } else if (name == "/think") {
    if (rest != "on" && rest != "off" && rest != "hide") {
      throw_error(ErrorCode::kUsage, "/think: expected on, off or hide, found '{}'", rest);
    }
    args_.think = rest;
  } else if (name == "/set") {
    auto [key, value] = split_word(rest);
    set(key, value);
  } else if (name == "/save") {
    save(rest);
  } else if (name == "/load") {
    load(rest);
  } else {
    throw Error(ErrorCode::kUsage, fmt::format("there is no command '{}'", name), "/help lists them");
  }
  return true;
}

void ChatSession::set(const std::string& key, const std::string& value) {
  GenerateArgs next = args_;
  if (key == "temperature") {
    next.sampling.temperature = number<double>(key, value);
  } else if (key == "top-k") {
    next.sampling.top_k = number<int64_t>(key, value);
  } else if (key == "top-p") {
    next.sampling.top_p = number<double>(key, value);
  } else if (key == "min-p") {
    next.sampling.min_p = number<double>(key, value);
  } else if (key == "repetition-penalty") {
    next.sampling.repetition_penalty = number<double>(key, value);
  } else if (key == "seed") {
    next.seed = number<uint64_t>(key, value);
  } else if (key == "max-tokens") {
    next.max_tokens = number<int64_t>(key, value);
  } else if (key == "system") {
    next.system = value;
    if (!messages_.empty() && messages_[0].role == "system") messages_.erase(messages_.begin());
    if (!value.empty()) messages_.insert(messages_.begin(), {"system", value});
  } else {
    throw Error(ErrorCode::kUsage, fmt::format("/set: there is no key '{}'", key), "/help lists them");
  }
  generate_options(next);  // refuses values out of range
  args_ = next;
}

void ChatSession::save(const std::string& path) const {
  if (path.empty()) throw Error(ErrorCode::kUsage, "/save: a file name is missing", "");
  Json json{{"messages", Json::array()}};
  for (const Message& m : messages_) {
    json["messages"].push_back({{"role", m.role}, {"content", m.content}});
    if (!m.reasoning_content.empty()) json["messages"].back()["reasoning_content"] = m.reasoning_content;
  }
  write_file_atomic(path, json.dump(2) + "\n");
  say_(fmt::format("saved {} messages to {}", messages_.size(), path));
}

void ChatSession::load(const std::string& path) {
  if (path.empty()) throw Error(ErrorCode::kUsage, "/load: a file name is missing", "");
  Json json = parse_json(read_file(path), path);
  JsonReader reader(json, path);
  std::vector<Message> messages = read_any_messages(reader.at("messages"), path);
  reader.finish();
  template_->render(messages, {});  // refuses wrong roles
  messages_ = std::move(messages);
  say_(fmt::format("{} messages from {}", messages_.size(), path));
}

std::string ChatSession::stats() const {
  return stats_text(engine_, last_) + fmt::format("; seed {}; context {} of {} tokens", args_.seed.value_or(0),
                                                  session_->length(), engine_.context());
}

}  // namespace unha
