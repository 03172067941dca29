// SPDX-License-Identifier: Apache-2.0
// Chat templates: messages become pieces marked control or text, never one string, so that what a user writes can
// never become a control token. Templates of known models are native code, recognised by the Jinja text that the
// model's folder carries; an unknown one is an error, never a guess.
//
// Our own form:  <bos> system  (<user> text | <assistant> reply <eos>)...  and <assistant> to ask for a reply.
// <think> and </think> are control tokens in assistant messages and plain text everywhere else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace unha {

struct Message {
  std::string role;  // system, user or assistant
  std::string content;
};

// [{"role", "content"}, ...]; `what` names the list in errors.
std::vector<Message> read_messages(const Json& json, const std::string& what);

struct ChatPiece {
  std::string text;
  bool control = false;  // one added token, by its text
  bool learned = false;  // part of an assistant's reply or its end: what training on chats learns
  bool operator==(const ChatPiece&) const = default;
};

class ChatTemplate {
 public:
  // The template of the models that Unha trains.
  static ChatTemplate ours();
  // Nothing if the model has no template; Error(kUnsupported) if it has one that is not known.
  static std::optional<ChatTemplate> from_model_dir(const std::filesystem::path& folder);
  static std::optional<ChatTemplate> from_config(const TokenizerConfig& config);

  // The Jinja text that gives the same string in other tools.
  std::string jinja() const;

  // Error(kInvalidArgument) for an unknown role or a system message that is not the first.
  std::vector<ChatPiece> render(std::span<const Message> messages, bool add_generation_prompt) const;
  // Ids of the rendered messages, BOS included.
  std::vector<int32_t> encode(const Tokenizer& tokenizer, std::span<const Message> messages,
                              bool add_generation_prompt) const;

  struct TrainingIds {
    std::vector<int32_t> ids;
    std::vector<bool> learned;  // per id: a token of a reply, or the end token behind it
  };
  TrainingIds encode_for_training(const Tokenizer& tokenizer, std::span<const Message> messages) const;

 private:
  enum class Kind { kOurs };
  explicit ChatTemplate(Kind kind) : kind_(kind) {}
  Kind kind_;
};

// Control pieces become their token (Error(kInvalidArgument) if the tokenizer lacks it), text pieces ordinary tokens.
std::vector<int32_t> encode_pieces(const Tokenizer& tokenizer, std::span<const ChatPiece> pieces);

}  // namespace unha
