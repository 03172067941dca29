// SPDX-License-Identifier: Apache-2.0
#include "text/templates/recognise.h"

#include <algorithm>

#include "base/sha256.h"
#include "text/prose.h"

namespace unha {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// Of the texts that shared/chat-golden.json names by their SHA-256. The distills on Qwen and on Llama have one text.
struct Known {
  std::string_view digest, name;
};
constexpr Known kKnown[] = {
    {"7fa3c9fc965a6dbde33edd80a76945a564ea0c9ff61316cd00c0bff4fbe79ad2", "deepseek-v2-chat"},
    {"49be5974487a6655cfccae0d05bd0fa8dcfe2101b31612a618fab2dda45d5024", "deepseek-v3"},
    {"6a43d86d211cf388d58c44754924b341c3ce43e249d8eb3b05fc7e63abe8adae", "deepseek-v3-0324"},
    {"8de47c6521ff04a28efc3cfe8031e04b11cf4b098180b00e8eb54a341f5c1c16", "deepseek-v3.1"},
    {"ae90618d8a7a465e854ed3d7f89420102ea1e4dbcead06bd95d89f3cc14542ad", "deepseek-v3.1-terminus"},
    {"d41bf397b9942f8e60fa8a85b07aacf085eaccb7766fd26f0b9819507513e614", "deepseek-r1"},
    {"8c08e0479f3549e85655e9cc4a8f23af619e5fab98b4902d2bb40bd9193e8ba4", "deepseek-r1-0528"},
    {"1cae80153517e2a7da2418273a3b8aa69ba5278320a6e24180f6f84953304f2e", "r1-distill-qwen"},
    {"dbdba0dcf6a564d24ad964c9a3e2e4a69c17ebef2a1483aa45e58d62ffb09281", "smollm2"},
};

// Code between two literals: blanks and trimming signs of tags mean nothing.
void add_code(std::string_view code, std::string& out) {
  for (size_t i = 0; i < code.size(); ++i) {
    char c = code[i];
    if (kBlanks.find(c) != std::string_view::npos) continue;
    bool sign = c == '-' || c == '+';
    bool opened = i >= 2 && code[i - 2] == '{' && (code[i - 1] == '{' || code[i - 1] == '%');
    bool closes = i + 2 < code.size() && code[i + 2] == '}' && (code[i + 1] == '}' || code[i + 1] == '%');
    if (sign && (opened || closes)) continue;
    out += c;
  }
}

std::string without_comments(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t open = std::min(text.find("{#", at), text.size());
    out += text.substr(at, open - at);
    if (open == text.size()) break;
    size_t close = text.find("#}", open);
    at = close == std::string_view::npos ? text.size() : close + 2;
  }
  return out;
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

std::string jinja_digest(std::string_view text) {
  std::string source = without_comments(text);
  std::string normal;
  size_t at = 0;
  for (const Literal& literal : jinja_literals(source)) {
    add_code(std::string_view(source).substr(at, literal.begin - at), normal);
    bool quoted = source[literal.begin] == source[literal.end - 1] &&
                  (source[literal.begin] == '\'' || source[literal.begin] == '"');
    size_t begin = quoted ? 0 : std::min(literal.text.find_first_not_of(kBlanks), literal.text.size());
    size_t end = quoted ? literal.text.size() : literal.text.find_last_not_of(kBlanks) + 1;
    if (quoted || end > begin) {
      normal += std::to_string(end - begin) + ':';
      normal += literal.text.substr(begin, end - begin);
    }
    at = literal.end;
  }
  add_code(std::string_view(source).substr(at), normal);
  return Sha256::of(normal);
}

std::optional<std::string> recognise_jinja(std::string_view text) {
  std::string digest = jinja_digest(text);
  for (const Known& known : kKnown) {
    if (known.digest == digest) return std::string(known.name);
  }
  return std::nullopt;
}

std::string similar_template(std::string_view text) {
  if (has(text, "<|im_start|>")) return "smollm2";
  if (!has(text, "<｜Assistant｜>")) return has(text, "Assistant: ") ? "deepseek-v2-chat" : "";
  if (has(text, "is_only_sys")) return "deepseek-v3.1-terminus";
  if (has(text, "'<｜Assistant｜></think>'")) return "deepseek-v3.1";
  if (has(text, "is_last_user")) return has(text, "</think>") ? "deepseek-r1-0528" : "deepseek-v3-0324";
  if (has(text, "'tool_calls' in message")) return "deepseek-r1";
  if (has(text, "<think>") || has(text, "</think>")) return "r1-distill-qwen";
  return "deepseek-v3";
}

}  // namespace unha
