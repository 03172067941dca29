// SPDX-License-Identifier: Apache-2.0
// Which chat template a model gets, and where the sentences of its vendor come from.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "text/chat_template.h"

namespace unha {

// A prose file (text/prose.h). Error(kNotFound) if it is not there.
Prose prose_of_file(const std::string& path);
// The sentences in a model: a folder with tokenizer_config.json, chat_template.jinja or encoding/encoding_dsv32.py
// (weights need not be there), a GGUF file or a folder of one, or one of these files. Error(kNotFound) if there is
// none.
Prose prose_of_model(const std::string& path);

// The template called `name`, or the model's own if name is empty (nothing if it has none); with the model's prose, the
// one of `prose_file` before it if that is not empty.
std::optional<ChatTemplate> pick_template(const Engine& engine, const std::string& name, const std::string& prose_file);

// All ids that end a reply: the model's and the template's.
std::vector<int32_t> end_ids(const Engine& engine, const std::optional<ChatTemplate>& chat);

struct ChatPrompt {
  std::vector<int32_t> ids;
  bool in_thought;  // the reply begins inside a thought
};
// The prompt that asks for the next reply. think: as GenerateArgs.
ChatPrompt chat_prompt(const Engine& engine, const ChatTemplate& chat, const std::vector<Message>& messages,
                       const std::string& think);
// What a model has replied, as a message of the conversation: vendors' templates take thoughts apart from the answer.
Message reply_message(const ChatTemplate& chat, const std::string& text, bool began_in_thought);

}  // namespace unha
