// SPDX-License-Identifier: Apache-2.0
#include "app/template_options.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "io/file.h"
#include "io/gguf.h"

namespace unha {

Prose prose_of_file(const std::string& path) { return Prose::from_file_text(read_file(path), path); }

namespace {

bool is_gguf(const std::filesystem::path& path) { return path.extension() == ".gguf"; }

bool holds_gguf(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (is_gguf(entry.path())) return true;
  }
  return false;
}

Prose prose_of_gguf(const std::string& path) {
  constexpr const char* kTemplate = "tokenizer.chat_template";
  std::vector<GgufFile> files = open_gguf_files(path);
  return Prose::from_jinja(files.front().metadata().require_string(kTemplate), path + ": " + kTemplate);
}

}  // namespace

Prose prose_of_model(const std::string& path) {
  if (is_gguf(path)) return prose_of_gguf(path);
  if (!std::filesystem::is_directory(path)) return prose_of_file(path);
  TokenizerConfig config = TokenizerConfig::from_model_dir(path);
  if (config.chat_template || config.encoding_script) return config.prose();
  if (holds_gguf(path)) return prose_of_gguf(path);
  throw Error(ErrorCode::kNotFound,
              fmt::format("{}: expected a chat template in tokenizer_config.json or chat_template.jinja, "
                          "encoding/encoding_dsv32.py or a GGUF file; found none of them",
                          path),
              "download these files, or give the text with --prose FILE");
}

std::optional<ChatTemplate> pick_template(const Engine& engine, const std::string& name,
                                          const std::string& prose_file) {
  std::optional<ChatTemplate> own;
  if (name.empty()) own = engine.chat_template();
  if (name.empty() && !own) return std::nullopt;
  Prose prose;
  if (!prose_file.empty()) prose.add(prose_of_file(prose_file));
  prose.add(engine.tokenizer_config().prose());
  return ChatTemplate::named(name.empty() ? own->name() : name, std::move(prose));
}

std::vector<int32_t> end_ids(const Engine& engine, const std::optional<ChatTemplate>& chat) {
  std::vector<int32_t> ids = engine.end_ids();
  if (!chat || engine.tokenizer() == nullptr) return ids;
  for (const std::string& token : chat->end_tokens()) {
    auto id = engine.tokenizer()->id_of(token);
    if (id && std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.push_back(*id);
  }
  return ids;
}

ChatPrompt chat_prompt(const Engine& engine, const ChatTemplate& chat, const std::vector<Message>& messages,
                       const std::string& think) {
  ChatOptions options{.add_generation_prompt = true, .thinking = think == "on" || think == "hide"};
  std::vector<ChatPiece> pieces = chat.render(messages, options);
  return {encode_pieces(engine.need_tokenizer(), pieces), ends_in_thought(pieces)};
}

Message reply_message(const ChatTemplate& chat, const std::string& text, bool began_in_thought) {
  if (chat.name() == ChatTemplate::ours().name()) return {"assistant", text};  // its marks are part of the content
  constexpr std::string_view kOpen = "<think>", kClose = "</think>";
  size_t begin = text.find_first_not_of(" \n");
  bool opens = begin != std::string::npos && text.compare(begin, kOpen.size(), kOpen) == 0;
  if (!opens && !began_in_thought) return {"assistant", text};
  begin = opens ? begin + kOpen.size() : 0;
  size_t end = text.find(kClose, begin);
  Message message{"assistant", end == std::string::npos ? "" : text.substr(end + kClose.size())};
  message.reasoning_content = text.substr(begin, end == std::string::npos ? end : end - begin);
  return message;
}

}  // namespace unha
