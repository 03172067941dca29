// SPDX-License-Identifier: Apache-2.0
#include "text/chat_template.h"

#include <fmt/ranges.h>

#include <string_view>

#include "base/error.h"
#include "text/templates/family.h"
#include "text/templates/recognise.h"

namespace unha {

namespace {

constexpr std::string_view kOurJinja =
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' and loop.first %}{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}{{ '<user>' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}{{ '<assistant>' + message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('expected user or assistant, or system as the first message; found '"
    " + message['role']) }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";

constexpr const char* kOurs = "unha";

const std::vector<TemplateFamily>& families() {
  static const std::vector<TemplateFamily> all = [] {
    std::vector<TemplateFamily> list;
    for (auto family : {unha_templates, deepseek_v2_templates, deepseek_v3_templates, deepseek_v3_0324_templates,
                        deepseek_v31_templates, deepseek_v32_templates, smollm2_templates}) {
      for (TemplateFamily& member : family()) list.push_back(std::move(member));
    }
    return list;
  }();
  return all;
}

bool is_thought_mark(std::string_view text) { return text == "<think>" || text == "</think>"; }

std::optional<int32_t> control_id(const Tokenizer& tokenizer, const std::string& token) {
  auto id = tokenizer.id_of(token);
  return id && tokenizer.is_added(*id) ? id : std::nullopt;
}

void append_text(const Tokenizer& tokenizer, const std::string& text, std::vector<int32_t>& ids) {
  std::vector<int32_t> own = tokenizer.encode(text, {.parse_added = false, .add_special = false});
  ids.insert(ids.end(), own.begin(), own.end());
}

void append_piece(const Tokenizer& tokenizer, const ChatPiece& piece, std::vector<int32_t>& ids) {
  if (!piece.control) return append_text(tokenizer, piece.text, ids);
  auto id = control_id(tokenizer, piece.text);
  if (!id) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the tokenizer has no control token \"{}\", which the chat template needs", piece.text),
                "use the tokenizer that belongs to the model, or another --template");
  }
  ids.push_back(*id);
}

}  // namespace

ChatTemplate::ChatTemplate(const TemplateFamily& family, Prose prose)
    : family_(&family), prose_(std::make_shared<const Prose>(std::move(prose))) {}

ChatTemplate ChatTemplate::ours() { return named(kOurs); }

ChatTemplate ChatTemplate::named(const std::string& name, Prose prose) {
  for (const TemplateFamily& family : families()) {
    if (family.name == name) return ChatTemplate(family, std::move(prose));
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("there is no chat template \"{}\"", name),
              fmt::format("there are {}", fmt::join(names(), ", ")));
}

std::vector<std::string> ChatTemplate::names() {
  std::vector<std::string> all;
  for (const TemplateFamily& family : families()) all.push_back(family.name);
  return all;
}

std::optional<ChatTemplate> ChatTemplate::from_model_dir(const std::filesystem::path& folder) {
  return from_config(TokenizerConfig::from_model_dir(folder));
}

std::optional<ChatTemplate> ChatTemplate::from_config(const TokenizerConfig& config) {
  if (config.encoding_script) return named("deepseek-v3.2", config.prose());
  if (!config.chat_template) return std::nullopt;
  if (*config.chat_template == kOurJinja) return ours();
  if (auto name = recognise_jinja(*config.chat_template)) return named(*name, config.prose());
  std::string similar = similar_template(*config.chat_template);
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: unknown chat template that starts \"{}\"", config.chat_template_source,
                          config.chat_template->substr(0, 60)),
              fmt::format("{}choose one with --template ({}), or feed the prompt as it is with --raw",
                          similar.empty() ? "" : fmt::format("it resembles {}; ", similar), fmt::join(names(), ", ")));
}

const std::string& ChatTemplate::name() const { return family_->name; }
const std::string& ChatTemplate::about() const { return family_->about; }
const std::vector<std::string>& ChatTemplate::prose_names() const { return family_->prose_names; }
const std::vector<std::string>& ChatTemplate::end_tokens() const { return family_->end_tokens; }

std::string ChatTemplate::jinja() const {
  UNHA_CHECK(name() == kOurs, "the Jinja text of {} is its vendor's", name());
  return std::string(kOurJinja);
}

std::vector<ChatPiece> ChatTemplate::render(std::span<const Message> messages, const ChatOptions& options) const {
  Pieces pieces;
  family_->render({messages, options, *prose_}, pieces);
  return pieces.take();
}

std::vector<int32_t> encode_pieces(const Tokenizer& tokenizer, std::span<const ChatPiece> pieces) {
  std::vector<int32_t> ids;
  std::string text;  // what is text so far: neighbours are encoded together
  for (const ChatPiece& piece : pieces) {
    if (!piece.control || (is_thought_mark(piece.text) && !control_id(tokenizer, piece.text))) {
      text += piece.text;
      continue;
    }
    append_text(tokenizer, text, ids);
    text.clear();
    append_piece(tokenizer, piece, ids);
  }
  append_text(tokenizer, text, ids);
  return ids;
}

std::vector<int32_t> ChatTemplate::encode(const Tokenizer& tokenizer, std::span<const Message> messages,
                                          const ChatOptions& options) const {
  return encode_pieces(tokenizer, render(messages, options));
}

ChatTemplate::TrainingIds ChatTemplate::encode_for_training(const Tokenizer& tokenizer,
                                                            std::span<const Message> messages) const {
  UNHA_CHECK(name() == kOurs, "{} does not mark what is learned", name());
  TrainingIds result;
  for (const ChatPiece& piece : render(messages, {})) {
    append_piece(tokenizer, piece, result.ids);
    result.learned.resize(result.ids.size(), piece.learned);
  }
  return result;
}

bool ends_in_thought(std::span<const ChatPiece> pieces) {
  for (size_t i = pieces.size(); i-- > 0;) {
    const ChatPiece& piece = pieces[i];
    if (piece.control) return piece.text == "<think>";
    if (piece.text.find_first_not_of(" \n") != std::string::npos) return false;
  }
  return false;
}

}  // namespace unha
