// SPDX-License-Identifier: Apache-2.0
#include "text/prose.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer_config.h"

namespace unha {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// The last line of code before a literal, without comments, parentheses and line ends at its end.
std::string_view statement_before(std::string_view source, size_t literal) {
  std::string_view code = source.substr(0, literal);
  while (true) {
    size_t end = code.find_last_not_of(" \t\r\n(\\");
    if (end == std::string_view::npos) return {};
    code = code.substr(0, end + 1);
    size_t line = code.rfind('\n') == std::string_view::npos ? 0 : code.rfind('\n') + 1;
    if (size_t comment = code.find('#', line); comment != std::string_view::npos) {
      code = code.substr(0, comment);
      continue;
    }
    return trimmed(code.substr(line));
  }
}

// `NAME =`, `NAME: type =`, `NAME +=` before a literal.
bool assigns(std::string_view statement, std::string_view name) {
  if (!statement.ends_with('=') || !statement.starts_with(name)) return false;
  std::string_view rest = trimmed(statement.substr(name.size(), statement.size() - name.size() - 1));
  return rest.empty() || rest == "+" || (rest.front() == ':' && rest.find('=') == std::string_view::npos);
}

std::string without_comments(std::string_view code) {
  std::string out;
  for (size_t at = 0; at < code.size();) {
    size_t comment = std::min(code.find('#', at), code.size());
    out += code.substr(at, comment - at);
    at = std::min(code.find('\n', comment), code.size());
  }
  return out;
}

// The literal at i and those that stand directly behind it, which Python joins; i moves to the last. On another line
// they do so only between parentheses or behind a backslash.
std::string joined(std::string_view source, const std::vector<Literal>& literals, size_t& i) {
  std::string text = literals[i].text;
  bool open = trimmed(source.substr(0, literals[i].begin)).ends_with('(');
  for (; i + 1 < literals.size(); ++i) {
    std::string between = without_comments(source.substr(literals[i].end, literals[i + 1].begin - literals[i].end));
    std::string_view gap = trimmed(between);
    if (!gap.empty() && gap != "+" && gap != "\\") break;
    if (gap.empty() && !open && between.find('\n') != std::string::npos) break;
    text += literals[i + 1].text;
  }
  return text;
}

std::optional<std::string> constant(std::string_view source, const std::vector<Literal>& literals,
                                    std::string_view name) {
  for (size_t i = 0; i < literals.size(); ++i) {
    if (literals[i].formatted || !assigns(statement_before(source, literals[i].begin), name)) continue;
    return joined(source, literals, i);
  }
  return std::nullopt;
}

// content_developer += "...{}".format(content), or with {content}.
std::optional<std::string> developer_text(std::string_view source, const std::vector<Literal>& literals) {
  for (size_t i = 0; i < literals.size(); ++i) {
    if (literals[i].formatted || !assigns(statement_before(source, literals[i].begin), "content_developer")) continue;
    std::string text = joined(source, literals, i);
    if (!trimmed(source.substr(literals[i].end)).starts_with(".format(content")) continue;
    for (std::string_view field : {"{}", "{0}", "{content}"}) {
      if (size_t at = text.find(field); at != std::string::npos) return text.replace(at, field.size(), "{}");
    }
  }
  return std::nullopt;
}

// What stands between <|im_start|>system and <|im_end|> in one literal.
std::optional<std::string> default_system(const std::vector<Literal>& literals) {
  constexpr std::string_view kBegin = "<|im_start|>system\n";
  for (const Literal& literal : literals) {
    size_t begin = literal.text.find(kBegin);
    if (begin == std::string::npos) continue;
    begin += kBegin.size();
    size_t end = literal.text.find("<|im_end|>", begin);
    if (end != std::string::npos && end > begin) return literal.text.substr(begin, end - begin);
  }
  return std::nullopt;
}

Prose from_object(const Json& json, const std::string& what) {
  Prose prose;
  for (const auto& item : json.items()) {
    if (!item.value().is_string()) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\": expected text, found {}", what, item.key(),
                  item.value().type_name());
    }
    prose.set(item.key(), item.value().get<std::string>());
  }
  return prose;
}

}  // namespace

Prose Prose::from_jinja(std::string_view text, const std::string& what) {
  Prose prose;
  if (auto found = default_system(jinja_literals(text))) prose.set("default_system", std::move(*found));
  prose.looked(what);
  return prose;
}

Prose Prose::from_encoding_script(std::string_view text, const std::string& what) {
  Prose prose;
  std::vector<Literal> literals = python_literals(text);
  if (auto found = constant(text, literals, "TOOLS_SYSTEM_TEMPLATE")) prose.set("tools", std::move(*found));
  if (auto found = constant(text, literals, "response_format_template"))
    prose.set("response_format", std::move(*found));
  if (auto found = developer_text(text, literals)) prose.set("developer", std::move(*found));
  prose.looked(what);
  return prose;
}

Prose Prose::from_file_text(std::string_view text, const std::string& what) {
  std::string_view start = trimmed(text);
  bool jinja = start.starts_with("{%") || start.starts_with("{{") || start.starts_with("{#");
  if (start.starts_with("{") && !jinja) {
    Json json = parse_json(text, what);
    if (!json.contains("chat_template") && !json.contains("tokenizer_class")) {
      Prose prose = from_object(json, what);
      prose.looked(what);
      return prose;
    }
    TokenizerConfig config = TokenizerConfig::parse(text, what);
    return from_jinja(config.chat_template.value_or(""), what);
  }
  Prose prose = jinja ? from_jinja(text, what) : from_encoding_script(text, what);
  if (!prose.texts_.empty()) return prose;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: expected a prose file (a JSON object, name -> text), a tokenizer_config.json, a Jinja "
                          "template or an encoding script with prose in it; found none of them",
                          what),
              "see unha template --help");
}

const std::string& Prose::need(const std::string& name, const std::string& who) const {
  auto found = texts_.find(name);
  if (found != texts_.end()) return found->second;
  std::string where = places_.empty() ? "no model and no prose file was given"
                                      : fmt::format("it is not in {}", fmt::join(places_, ", "));
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: here the vendor's template inserts a text of its own, \"{}\"; {}", who, name, where),
              "give the model with --model PATH or the text with --prose FILE");
}

void Prose::add(const Prose& other) {
  for (const auto& [name, text] : other.texts_) texts_.try_emplace(name, text);
  places_.insert(places_.end(), other.places_.begin(), other.places_.end());
}

}  // namespace unha
