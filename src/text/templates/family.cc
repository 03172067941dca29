// SPDX-License-Identifier: Apache-2.0
#include "text/templates/family.h"

#include "base/error.h"

namespace unha {

namespace {

const char* found(Given given) {
  switch (given) {
    case Given::kNull:
      return "null";
    case Given::kAbsent:
      return "nothing";
    case Given::kValue:
    case Given::kOther:
      break;
  }
  return "something else";
}

const std::string& member(const std::string& text, Given given, const char* key) {
  if (given != Given::kValue) {
    throw_error(ErrorCode::kInvalidArgument, "a tool call's \"{}\": the template needs text, found {}", key,
                found(given));
  }
  return text;
}

}  // namespace

const std::string& text_of(const Message& message) {
  if (message.content_is != Given::kValue) {
    throw_error(ErrorCode::kInvalidArgument,
                "\"content\" of a message with role \"{}\": the template needs text, found {}", message.role,
                found(message.content_is));
  }
  return message.content;
}

const std::string& type_of(const ToolCall& call) { return member(call.type, call.type_is, "type"); }
const std::string& name_of(const ToolCall& call) { return member(call.name, call.name_is, "name"); }
const std::string& arguments_of(const ToolCall& call) {
  return member(call.arguments, call.arguments_are, "arguments");
}

const std::vector<ToolCall>& calls_of(const Message& message) {
  if (message.tool_calls_are != Given::kValue) {
    throw_error(ErrorCode::kInvalidArgument, "\"tool_calls\": the template needs a list, found {}",
                found(message.tool_calls_are));
  }
  return message.tool_calls;
}

}  // namespace unha
