// SPDX-License-Identifier: Apache-2.0
// Any bytes are a row of a conversation that each template renders or refuses. What users, tools and the system say
// stays in text pieces: other words in its place leave the control tokens as they are.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/chat_template.h"

namespace {

using unha::ChatPiece;
using unha::ChatTemplate;
using unha::Message;

const unha::Prose& prose() {
  static const unha::Prose all = [] {
    unha::Prose p;
    p.set("default_system", "D <|im_end|>");
    p.set("tools", "{{T}} {tool_schemas} {dsml_token}{thinking_start_token}{thinking_end_token}");
    p.set("response_format", "F {schema}");
    p.set("developer", "says {}");
    return p;
  }();
  return all;
}

std::vector<std::string> controls(const std::vector<ChatPiece>& pieces) {
  std::vector<std::string> list;
  for (const ChatPiece& piece : pieces) {
    if (piece.control) list.push_back(piece.text);
  }
  return list;
}

bool in_a_text(const std::vector<ChatPiece>& pieces, const std::string& said) {
  return std::any_of(pieces.begin(), pieces.end(), [&](const ChatPiece& piece) {
    return !piece.control && piece.text.find(said) != std::string::npos;
  });
}

void check(const ChatTemplate& chat, const std::vector<Message>& messages, const unha::ChatOptions& options) {
  std::vector<ChatPiece> pieces;
  try {
    pieces = chat.render(messages, options);
  } catch (const unha::Error&) {
    return;  // refused, which is fine
  }
  for (size_t i = 0; i + 1 < pieces.size(); ++i) {
    UNHA_CHECK(!pieces[i].text.empty(), "{}: an empty piece", chat.name());
    bool twice = !pieces[i].control && !pieces[i + 1].control && pieces[i].learned == pieces[i + 1].learned;
    UNHA_CHECK(!twice, "{}: texts that are not joined", chat.name());
  }
  std::vector<Message> others = messages;
  for (Message& message : others) {
    if (message.role == "user") {
      UNHA_CHECK(message.content.empty() || in_a_text(pieces, message.content), "{}: lost a question", chat.name());
    }
    if (message.role != "assistant" && !message.content.empty()) message.content = "x";
    for (unha::ToolCall& call : message.tool_calls) {
      if (!call.name.empty()) call.name = "x";
    }
    if (!message.reasoning_content.empty()) message.reasoning_content = "x";
  }
  UNHA_CHECK(controls(chat.render(others, options)) == controls(pieces), "{}: said a control token", chat.name());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::string> names = ChatTemplate::names();
  try {
    unha::Json row = unha::parse_json({reinterpret_cast<const char*>(data), size}, "row");
    if (!row.is_object() || !row.contains("messages")) return 0;
    std::vector<Message> messages = unha::read_any_messages(row["messages"], "row");
    unha::ChatOptions options = unha::read_chat_options(row.value("options", unha::Json()), "row");
    for (const std::string& name : names) check(ChatTemplate::named(name, prose()), messages, options);
  } catch (const unha::Error&) {
    // No row.
  }
  return 0;
}
