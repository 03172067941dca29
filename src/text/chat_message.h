// SPDX-License-Identifier: Apache-2.0
// The messages of a conversation as chat interfaces pass them on, and the pieces that a template makes of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace unha {

// Vendors' templates tell a key that is null from one that is not there. kOther: neither null nor what the key holds.
enum class Given : uint8_t { kValue, kNull, kAbsent, kOther };

// A function that the model called. A member that is not text in the message is kOther or kAbsent, which is refused
// only by a template that writes it.
struct ToolCall {
  std::string type, name, arguments;
  Given type_is = Given::kAbsent, name_is = Given::kAbsent, arguments_are = Given::kAbsent;
};

struct Message {
  std::string role;  // system, user or assistant; in vendors' templates tool and developer too
  std::string content;
  // All below is written by vendors' templates only.
  Given content_is = Given::kValue;
  std::string reasoning_content = {};  // the thoughts before an assistant's content; empty: none
  Given tool_calls_are = Given::kAbsent;
  std::vector<ToolCall> tool_calls = {};
  bool prefix = false;                              // an assistant's content is the beginning of the reply
  Json tools = nullptr, response_format = nullptr;  // of DeepSeek V3.2's system and developer messages
};

// [{"role", "content"}, ...] of our own conversations: nothing else may be in a message. `what` names the list in
// errors.
std::vector<Message> read_messages(const Json& json, const std::string& what);
// What other programs send: any role, content null or absent, tool_calls, reasoning_content; keys that no template
// knows are left aside. May be empty. Error(kInvalidArgument) if a message is no object or its role no text.
std::vector<Message> read_any_messages(const Json& json, const std::string& what);

// Variables of a template. What is not given is off, as in the vendors' templates.
struct ChatOptions {
  bool add_generation_prompt = false;  // end with what asks for a reply
  bool thinking = false;               // of models that can do both
  bool drop_thinking = true;           // DeepSeek V3.2: forget thoughts before the last question
};
// An object, or null. Any value stands for its truth as in Python. Keys that no template knows are left aside.
ChatOptions read_chat_options(const Json& json, const std::string& what);

struct ChatPiece {
  std::string text;
  bool control = false;  // one added token, by its text
  bool learned = false;  // part of an assistant's reply or its end: what training on chats learns
  bool operator==(const ChatPiece&) const = default;
};

// Collects what a template writes. Neighbouring texts are joined and empty ones left out.
class Pieces {
 public:
  void control(std::string_view token, bool learned = false) { pieces_.push_back({std::string(token), true, learned}); }
  void text(std::string_view text, bool learned = false);
  std::vector<ChatPiece> take() { return std::move(pieces_); }

 private:
  std::vector<ChatPiece> pieces_;
};

std::string joined_text(std::span<const ChatPiece> pieces);

}  // namespace unha
