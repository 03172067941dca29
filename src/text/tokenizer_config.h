// SPDX-License-Identifier: Apache-2.0
// tokenizer_config.json: what a model's folder says beside its tokenizer. Only the keys that matter to us are read;
// the file belongs to other tools and holds many more.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace unha {

struct TokenizerConfig {
  bool add_bos_token = false;  // raw completion starts with BOS
  bool add_eos_token = false;
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  std::optional<std::string> pad_token;
  std::optional<std::string> chat_template;  // Jinja
  std::string chat_template_source;          // the file it came from, for messages

  // Defaults where the folder has no tokenizer_config.json. A chat_template.jinja beside it goes first.
  static TokenizerConfig from_model_dir(const std::filesystem::path& folder);
  static TokenizerConfig parse(std::string_view json, const std::string& name);
};

// The file that we save beside a tokenizer of ours, our chat template included.
std::string our_tokenizer_config_json();

}  // namespace unha
