// SPDX-License-Identifier: Apache-2.0
#include "text/chat_template.h"

#include <string_view>

#include "base/error.h"

namespace unha {

namespace {

constexpr std::string_view kOurJinja =
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' and loop.first %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}{{ '<user>' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}{{ '<assistant>' + message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('expected user or assistant, or system as the first message; found '"
    " + message['role']) }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";

void add_text(std::vector<ChatPiece>& pieces, std::string_view text, bool learned) {
  if (!text.empty()) pieces.push_back({std::string(text), false, learned});
}

// The marks of reasoning are the model's own: in a reply they are tokens.
void add_reply(std::vector<ChatPiece>& pieces, std::string_view text) {
  while (!text.empty()) {
    std::string_view mark = "<think>";
    size_t at = text.find(mark);
    size_t end_at = text.find("</think>");
    if (end_at < at) {
      mark = "</think>";
      at = end_at;
    }
    add_text(pieces, text.substr(0, at), true);
    if (at == std::string_view::npos) return;
    pieces.push_back({std::string(mark), true, true});
    text.remove_prefix(at + mark.size());
  }
}

std::vector<ChatPiece> render_ours(std::span<const Message> messages, bool add_generation_prompt) {
  std::vector<ChatPiece> pieces = {{"<bos>", true, false}};
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role == "system" && i == 0) {
      add_text(pieces, message.content, false);
    } else if (message.role == "user") {
      pieces.push_back({"<user>", true, false});
      add_text(pieces, message.content, false);
    } else if (message.role == "assistant") {
      pieces.push_back({"<assistant>", true, false});
      add_reply(pieces, message.content);
      pieces.push_back({"<eos>", true, true});
    } else {
      throw_error(ErrorCode::kInvalidArgument,
                  "message {}: expected role user or assistant, or system as the first message; found \"{}\"", i,
                  message.role);
    }
  }
  if (add_generation_prompt) pieces.push_back({"<assistant>", true, false});
  return pieces;
}

}  // namespace

std::vector<Message> read_messages(const Json& json, const std::string& what) {
  if (!json.is_array() || json.empty()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"messages\" must be a non-empty list", what);
  }
  std::vector<Message> messages;
  for (const Json& item : json) {
    JsonReader reader(item, fmt::format("{}: message {}", what, messages.size()));
    Message message{reader.require<std::string>("role"), reader.require<std::string>("content")};
    reader.finish();
    if (message.role != "system" && message.role != "user" && message.role != "assistant") {
      throw_error(ErrorCode::kInvalidArgument, "{}: role must be system, user or assistant, found \"{}\"",
                  reader.what(), message.role);
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

ChatTemplate ChatTemplate::ours() { return ChatTemplate(Kind::kOurs); }

std::optional<ChatTemplate> ChatTemplate::from_model_dir(const std::filesystem::path& folder) {
  return from_config(TokenizerConfig::from_model_dir(folder));
}

std::optional<ChatTemplate> ChatTemplate::from_config(const TokenizerConfig& config) {
  if (!config.chat_template) return std::nullopt;
  if (*config.chat_template == kOurJinja) return ours();
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: unknown chat template that starts \"{}\"", config.chat_template_source,
                          config.chat_template->substr(0, 60)),
              "feed the prompt as it is with --raw");
}

std::string ChatTemplate::jinja() const {
  switch (kind_) {
    case Kind::kOurs:
      break;
  }
  return std::string(kOurJinja);
}

std::vector<ChatPiece> ChatTemplate::render(std::span<const Message> messages, bool add_generation_prompt) const {
  switch (kind_) {
    case Kind::kOurs:
      break;
  }
  return render_ours(messages, add_generation_prompt);
}

namespace {
void append_piece(const Tokenizer& tokenizer, const ChatPiece& piece, std::vector<int32_t>& ids) {
  if (!piece.control) {
    std::vector<int32_t> own = tokenizer.encode(piece.text, {.parse_added = false, .add_special = false});
    ids.insert(ids.end(), own.begin(), own.end());
    return;
  }
  auto id = tokenizer.id_of(piece.text);
  if (!id || !tokenizer.is_added(*id)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the tokenizer has no control token \"{}\", which the chat template needs", piece.text),
                "use the tokenizer that belongs to the model");
  }
  ids.push_back(*id);
}
}  // namespace

std::vector<int32_t> encode_pieces(const Tokenizer& tokenizer, std::span<const ChatPiece> pieces) {
  std::vector<int32_t> ids;
  for (const ChatPiece& piece : pieces) append_piece(tokenizer, piece, ids);
  return ids;
}

std::vector<int32_t> ChatTemplate::encode(const Tokenizer& tokenizer, std::span<const Message> messages,
                                          bool add_generation_prompt) const {
  return encode_pieces(tokenizer, render(messages, add_generation_prompt));
}

ChatTemplate::TrainingIds ChatTemplate::encode_for_training(const Tokenizer& tokenizer,
                                                            std::span<const Message> messages) const {
  TrainingIds result;
  for (const ChatPiece& piece : render(messages, false)) {
    append_piece(tokenizer, piece, result.ids);
    result.learned.resize(result.ids.size(), piece.learned);
  }
  return result;
}

}  // namespace unha
