// SPDX-License-Identifier: Apache-2.0
#include "text/chat_message.h"

#include "base/error.h"

namespace unha {

namespace {

Given read_text(const Json& object, const char* key, std::string& text) {
  auto found = object.find(key);
  if (found == object.end()) return Given::kAbsent;
  if (found->is_null()) return Given::kNull;
  if (!found->is_string()) return Given::kOther;
  text = found->get<std::string>();
  return Given::kValue;
}

// Truth as Python sees it.
bool truth(const Json& object, const char* key, bool absent) {
  auto found = object.find(key);
  if (found == object.end()) return absent;
  if (found->is_boolean()) return found->get<bool>();
  if (found->is_number()) return found->get<double>() != 0;
  if (found->is_string()) return !found->get_ref<const std::string&>().empty();
  return !found->is_null() && !found->empty();
}

ToolCall read_tool_call(const Json& json) {
  ToolCall call;
  if (!json.is_object()) return call;
  call.type_is = read_text(json, "type", call.type);
  auto function = json.find("function");
  if (function == json.end() || !function->is_object()) return call;
  call.name_is = read_text(*function, "name", call.name);
  call.arguments_are = read_text(*function, "arguments", call.arguments);
  return call;
}

Message read_any_message(const Json& json, const std::string& what) {
  if (!json.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: expected an object", what);
  Message message;
  if (read_text(json, "role", message.role) != Given::kValue) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"role\" must be text", what);
  }
  message.content_is = read_text(json, "content", message.content);
  if (read_text(json, "reasoning_content", message.reasoning_content) == Given::kOther) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"reasoning_content\" must be text", what);
  }
  if (auto calls = json.find("tool_calls"); calls != json.end()) {
    message.tool_calls_are = calls->is_null() ? Given::kNull : calls->is_array() ? Given::kValue : Given::kOther;
    if (calls->is_array()) {
      for (const Json& call : *calls) message.tool_calls.push_back(read_tool_call(call));
    }
  }
  message.prefix = truth(json, "prefix", false);
  if (auto tools = json.find("tools"); tools != json.end()) message.tools = *tools;
  if (auto format = json.find("response_format"); format != json.end()) message.response_format = *format;
  return message;
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

std::vector<Message> read_any_messages(const Json& json, const std::string& what) {
  if (!json.is_array()) throw_error(ErrorCode::kInvalidArgument, "{}: \"messages\" must be a list", what);
  std::vector<Message> messages;
  messages.reserve(json.size());
  for (const Json& item : json) {
    messages.push_back(read_any_message(item, fmt::format("{}: message {}", what, messages.size())));
  }
  return messages;
}

ChatOptions read_chat_options(const Json& json, const std::string& what) {
  ChatOptions options;
  if (json.is_null()) return options;
  if (!json.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: \"options\" must be an object", what);
  options.add_generation_prompt = truth(json, "add_generation_prompt", false);
  options.thinking = truth(json, "thinking", false);
  options.drop_thinking = truth(json, "drop_thinking", true);
  return options;
}

void Pieces::text(std::string_view text, bool learned) {
  if (text.empty()) return;
  if (!pieces_.empty() && !pieces_.back().control && pieces_.back().learned == learned) {
    pieces_.back().text += text;
  } else {
    pieces_.push_back({std::string(text), false, learned});
  }
}

std::string joined_text(std::span<const ChatPiece> pieces) {
  std::string text;
  for (const ChatPiece& piece : pieces) text += piece.text;
  return text;
}

}  // namespace unha
