// SPDX-License-Identifier: Apache-2.0
// Chat templates: messages become pieces marked control or text, never one string, so that what a user or a tool says
// can never become a control token. Templates of known models are native code (templates/, one file per family),
// recognised by the Jinja text or the encoding script that the model carries; an unknown one is an error, never a
// guess. Sentences that a vendor's template inserts are not ours: they come as Prose (prose.h), from the model itself.
//
// Our own form:  <bos> system  (<user> text | <assistant> reply <eos>)...  and <assistant> to ask for a reply.
// <think> and </think> are control tokens in assistant messages and plain text everywhere else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/chat_message.h"
#include "text/prose.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace unha {

struct TemplateFamily;  // templates/family.h

class ChatTemplate {
 public:
  // The template of the models that Unha trains.
  static ChatTemplate ours();
  // By name, whatever the model says; prose may lack what is not asked for. Error(kInvalidArgument) lists the names.
  static ChatTemplate named(const std::string& name, Prose prose = {});
  static std::vector<std::string> names();
  // Nothing if the model has no template; Error(kUnsupported) if it has one that is not known.
  static std::optional<ChatTemplate> from_model_dir(const std::filesystem::path& folder);
  static std::optional<ChatTemplate> from_config(const TokenizerConfig& config);

  const std::string& name() const;
  // One line: which models it is for, and where its form is known from if not from the vendor's file.
  const std::string& about() const;
  // Names of the sentences that it may need; see prose.h.
  const std::vector<std::string>& prose_names() const;
  // Control tokens that end a reply, beside those that the model names.
  const std::vector<std::string>& end_tokens() const;

  // The Jinja text that gives the same string in other tools: of ours() alone, the vendors' texts are theirs.
  std::string jinja() const;

  // Error(kInvalidArgument) where the vendor's template fails (a content that is no text where text is written, ...),
  // and where prose is needed that is not there.
  std::vector<ChatPiece> render(std::span<const Message> messages, const ChatOptions& options) const;
  // Ids of the rendered messages, BOS included.
  std::vector<int32_t> encode(const Tokenizer& tokenizer, std::span<const Message> messages,
                              const ChatOptions& options) const;

  struct TrainingIds {
    std::vector<int32_t> ids;
    std::vector<bool> learned;  // per id: a token of a reply, or the end token behind it
  };
  // Of ours() alone: no other template marks what is learned.
  TrainingIds encode_for_training(const Tokenizer& tokenizer, std::span<const Message> messages) const;

 private:
  ChatTemplate(const TemplateFamily& family, Prose prose);

  const TemplateFamily* family_;
  std::shared_ptr<const Prose> prose_;
};

// Control pieces become their token (Error(kInvalidArgument) if the tokenizer lacks it), text pieces ordinary tokens.
// <think> and </think> are ordinary text for a tokenizer without them, as in the vendors' own tools.
std::vector<int32_t> encode_pieces(const Tokenizer& tokenizer, std::span<const ChatPiece> pieces);

// The prompt ends inside a thought: behind <think> there is at most white space.
bool ends_in_thought(std::span<const ChatPiece> pieces);

}  // namespace unha
