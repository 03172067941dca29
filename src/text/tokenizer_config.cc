// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_config.h"

#include "base/error.h"
#include "base/json.h"
#include "text/chat_template.h"
#include "text/read_file.h"

namespace unha {

namespace {

// A token is given as its text, or as an object that describes an added token.
std::optional<std::string> token_text(const Json& json, const char* key, const std::string& name) {
  auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && (*found)["content"].is_string()) {
    return (*found)["content"].get<std::string>();
  }
  throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" must be a token's text", name, key);
}

bool flag(const Json& json, const char* key, const std::string& name) {
  auto found = json.find(key);
  if (found == json.end() || found->is_null()) return false;
  if (!found->is_boolean()) throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" must be true or false", name, key);
  return found->get<bool>();
}

// A template is one string, or a list of named ones of which "default" is meant.
std::optional<std::string> chat_template_of(const Json& json, const std::string& name) {
  auto found = json.find("chat_template");
  if (found == json.end() || found->is_null()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array()) {
    for (const Json& item : *found) {
      if (item.is_object() && item.value("name", Json()) == "default" && item.value("template", Json()).is_string()) {
        return item["template"].get<std::string>();
      }
    }
  }
  throw_error(ErrorCode::kUnsupported, "{}: \"chat_template\" must be a string or a list with a \"default\"", name);
}

}  // namespace

TokenizerConfig TokenizerConfig::parse(std::string_view text, const std::string& name) {
  Json json = parse_json(text, name);
  if (!json.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: expected an object", name);
  TokenizerConfig config;
  config.add_bos_token = flag(json, "add_bos_token", name);
  config.add_eos_token = flag(json, "add_eos_token", name);
  config.bos_token = token_text(json, "bos_token", name);
  config.eos_token = token_text(json, "eos_token", name);
  config.pad_token = token_text(json, "pad_token", name);
  config.chat_template = chat_template_of(json, name);
  config.chat_template_source = name;
  return config;
}

TokenizerConfig TokenizerConfig::from_files(const ReadFile& read, const std::string& place) {
  constexpr const char* kConfig = "tokenizer_config.json";
  constexpr const char* kJinja = "chat_template.jinja";
  constexpr const char* kScript = "encoding/encoding_dsv32.py";
  TokenizerConfig config;
  if (auto text = read(kConfig)) config = parse(*text, place + "/" + kConfig);
  if (auto text = read(kJinja)) {
    config.chat_template = std::move(text);
    config.chat_template_source = place + "/" + kJinja;
  }
  config.encoding_script = read(kScript);
  config.encoding_script_source = place + "/" + kScript;
  return config;
}

TokenizerConfig TokenizerConfig::from_model_dir(const std::filesystem::path& folder) {
  return from_files(
      [&](const std::string& name) -> std::optional<std::string> {
        std::filesystem::path file = folder / name;
        if (!std::filesystem::exists(file)) return std::nullopt;
        return read_whole_file(file);
      },
      folder.string());
}

Prose TokenizerConfig::prose() const {
  Prose prose;
  if (encoding_script) prose.add(Prose::from_encoding_script(*encoding_script, encoding_script_source));
  if (chat_template) prose.add(Prose::from_jinja(*chat_template, chat_template_source));
  return prose;
}

std::string our_tokenizer_config_json() {
  Json json = {{"add_bos_token", true},
               {"add_eos_token", false},
               {"bos_token", "<bos>"},
               {"chat_template", ChatTemplate::ours().jinja()},
               {"clean_up_tokenization_spaces", false},
               {"eos_token", "<eos>"},
               {"pad_token", "<pad>"},
               {"tokenizer_class", "PreTrainedTokenizerFast"}};
  return json.dump(1) + "\n";
}

}  // namespace unha
