// SPDX-License-Identifier: Apache-2.0
// A conversation with a model: its messages, the commands that begin with a slash, and what is forgotten when the
// context is full. Reading lines and signals is chat_cmd.cc's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/generate_options.h"
#include "app/template_options.h"

namespace unha {

class ChatSession {
 public:
  // say: notes to the user, whole lines. Error(kInvalidArgument) if the model has no chat template.
  ChatSession(Engine& engine, const GenerateArgs& args, std::function<void(const std::string&)> say);

  // Asks and streams the reply; go_on as in GenerateOptions. A prompt that does not fit even alone is an Error, and the
  // question is not kept.
  Finish ask(const std::string& question, const GenerateOptions& streams);

  // A line that begins with '/'. False: the user wants to leave. Error for a wrong one.
  bool command(const std::string& line);

  const std::vector<Message>& messages() const { return messages_; }
  std::string stats() const;

 private:
  ChatPrompt fit_prompt();
  void set(const std::string& key, const std::string& value);
  void save(const std::string& path) const;
  void load(const std::string& path);
  void reset();

  Engine& engine_;
  GenerateArgs args_;
  std::function<void(const std::string&)> say_;
  std::optional<ChatTemplate> template_;
  std::unique_ptr<Session> session_;
  std::vector<Message> messages_;
  GenerateStats last_;
  bool said_forgetting_ = false;
};

}  // namespace unha
