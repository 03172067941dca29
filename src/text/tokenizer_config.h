// SPDX-License-Identifier: Apache-2.0
// tokenizer_config.json: what a model's folder says beside its tokenizer. Only the keys that matter to us are read;
// the file belongs to other tools and holds many more.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "text/prose.h"

namespace unha {

struct TokenizerConfig {
  bool add_bos_token = false;  // raw completion starts with BOS
  bool add_eos_token = false;
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  std::optional<std::string> pad_token;
  std::optional<std::string> chat_template;    // Jinja
  std::string chat_template_source;            // the file it came from, for messages
  std::optional<std::string> encoding_script;  // of models that render chats with a Python script (DeepSeek V3.2)
  std::string encoding_script_source;

  // Sentences for the model's chat template, from whichever of the two it has.
  Prose prose() const;

  // Gives a file of the model by its name, or nothing.
  using ReadFile = std::function<std::optional<std::string>(const std::string& name)>;
  // Defaults where there is no tokenizer_config.json. A chat_template.jinja beside it goes first. `place` names the
  // model in messages.
  static TokenizerConfig from_files(const ReadFile& read, const std::string& place);
  static TokenizerConfig from_model_dir(const std::filesystem::path& folder);
  static TokenizerConfig parse(std::string_view json, const std::string& name);
};

// The file that we save beside a tokenizer of ours, our chat template included.
std::string our_tokenizer_config_json();

}  // namespace unha
