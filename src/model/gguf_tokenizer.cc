// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_tokenizer.h"

#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "text/utf8.h"

namespace unha {

namespace {
// What a token is (tokenizer.ggml.token_type).
constexpr int64_t kUnknown = 2, kControl = 3, kUserDefined = 4;

// Patterns of pre-tokenizers (deepseek-v3.md sections 7.1, 7.2 and 9).
constexpr const char* kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kV3Words =
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

// Letters with case, by code point, as DeepSeek-LLM's file lists them.
constexpr const char* kCasedLetters =
    "41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F 386 388-38A 38C 38E-3A1 "
    "3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A "
    "1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 "
    "1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 "
    "212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D "
    "A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F "
    "104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943";
constexpr const char* kPunctuation = "21-2F 3A-7E FF01-FF0F FF1A-FF5E 2018-201F 3000-3002";
constexpr const char* kHanAndHangul = "4E00-9FA5 800-4E00 AC00-D7FF";
constexpr const char* kHanAndKana = "4E00-9FA5 3040-309F 30A0-30FF";

// "41-5A B5" -> "[A-Zµ]", in escapes.
std::string char_class(std::string_view ranges) {
  std::string out = "[";
  for (size_t at = 0; at < ranges.size();) {
    size_t end = std::min(ranges.find(' ', at), ranges.size());
    std::string_view range = ranges.substr(at, end - at);
    size_t dash = range.find('-');
    out += fmt::format("\\x{{{}}}", range.substr(0, dash));
    if (dash != std::string_view::npos) out += fmt::format("-\\x{{{}}}", range.substr(dash + 1));
    at = end + 1;
  }
  return out + "]";
}

Json split(const std::string& pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}
Json digits() { return {{"type", "Digits"}, {"individual_digits", true}}; }
Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

// A known value of tokenizer.ggml.pre.
struct PreKind {
  std::vector<Json> steps;  // before ByteLevel
  bool use_regex = false;   // ByteLevel cuts by its own pattern
  bool nfc = false;
  bool ignore_merges = false;
  bool add_bos = false;  // where the file does not say
};

std::optional<PreKind> pre_kind(const std::string& pre) {
  PreKind kind;
  if (pre == "deepseek-v3") {
    kind.steps = {split(R"(\p{N}{1,3})"), split(char_class(kHanAndKana) + "+"), split(kV3Words)};
  } else if (pre == "deepseek-llm") {
    kind.steps = {split(R"([\r\n])"),
                  split(R"(\s?)" + char_class(kCasedLetters) + "+"),
                  split(R"(\s?)" + char_class(kPunctuation) + "+"),
                  split(R"(\s+$)"),
                  split(char_class(kHanAndHangul) + "+"),
                  digits()};
  } else if (pre == "deepseek-coder") {
    kind.steps = {split(R"([\r\n])"), split(R"(\s?\p{L}+)"), split(R"(\s?\p{P}+)"),
                  split(char_class(kHanAndHangul) + "+"), digits()};
  } else if (pre == "qwen2" || pre == "deepseek-r1-qwen") {
    kind.steps = {split(kQwen2)};
    kind.nfc = true;
  } else if (pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3") {
    kind.steps = {split(kLlama3)};
    kind.ignore_merges = kind.add_bos = true;
  } else if (pre == "smollm") {
    kind.steps = {digits()};
    kind.use_regex = true;
  } else if (pre == "gpt-2") {
    kind.use_regex = true;
  } else if (pre == "default") {
    kind.steps = {split(R"([\p{P}\$\+<=>\^~\|]+)"), split(kGpt2), split(R"(\p{N}+)"), split("[0-9][0-9][0-9]")};
  } else {
    return std::nullopt;
  }
  return kind;
}
constexpr const char* kKnownPre =
    "deepseek-v3, deepseek-llm, deepseek-coder, deepseek-r1-qwen, qwen2, llama-bpe, smollm, gpt-2, default";

struct Vocabulary {
  std::vector<std::string_view> tokens;
  std::vector<int64_t> types;  // as many
};

Vocabulary read_vocabulary(const GgufMetadata& m, int64_t rows) {
  const std::string tokens = "tokenizer.ggml.tokens", types = "tokenizer.ggml.token_type";
  Vocabulary v;
  v.tokens = m.require_strings(tokens);
  auto size = static_cast<int64_t>(v.tokens.size());
  if (size != rows) m.fail(tokens, fmt::format("{} tokens for {} rows of tensor \"token_embd.weight\"", size, rows));
  v.types.assign(v.tokens.size(), 1);
  if (m.has(types)) v.types = m.require_ints(types);
  if (v.types.size() != v.tokens.size()) {
    m.fail(types, fmt::format("expected one for each of {} tokens, found {}", size, v.types.size()));
  }
  return v;
}

// Appends one JSON string. The texts are UTF-8 (require_strings has looked).
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

bool is_added(int64_t type) { return type == kUnknown || type == kControl || type == kUserDefined; }

// Text of the large lists is written directly: a tree of them would take many times their size.
std::string write_json(const GgufMetadata& m, const Vocabulary& v, const PreKind& kind) {
  std::string out = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)";
  bool first = true;
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (!is_added(v.types[id])) continue;
    out += fmt::format("{}{{\"id\":{},\"content\":", first ? "" : ",", id);
    append_quoted(out, v.tokens[id]);
    out += fmt::format(",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":{}}}",
                       v.types[id] != kUserDefined);
    first = false;
  }
  Json steps = kind.steps;
  if (kind.steps.empty()) steps = Json::array();
  steps.push_back(byte_level(kind.use_regex));
  Json pre = {{"type", "Sequence"}, {"pretokenizers", steps}};
  Json normalizer = kind.nfc ? Json{{"type", "NFC"}} : Json();
  out += fmt::format(R"(],"normalizer":{},"pre_tokenizer":{},"post_processor":null,"decoder":{},)", normalizer.dump(),
                     pre.dump(), byte_level(true).dump());
  out += fmt::format(R"("model":{{"type":"BPE","ignore_merges":{},"vocab":{{)", kind.ignore_merges);
  std::unordered_map<std::string_view, size_t> seen;
  seen.reserve(v.tokens.size());
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    auto [other, fresh] = seen.emplace(v.tokens[id], id);
    if (!fresh) {
      m.fail("tokenizer.ggml.tokens",
             fmt::format("tokens {} and {} are both {}", other->second, id, quoted_name(v.tokens[id])));
    }
    if (id != 0) out += ',';
    append_quoted(out, v.tokens[id]);
    out += fmt::format(":{}", id);
  }
  out += R"(},"merges":[)";
  first = true;
  for (std::string_view merge : m.require_strings("tokenizer.ggml.merges")) {
    if (!first) out += ',';
    append_quoted(out, merge);
    first = false;
  }
  return out + "]}}";
}

std::string write_config(const GgufMetadata& m, const Vocabulary& v, bool add_bos) {
  Json config = {{"add_bos_token", m.get_bool("tokenizer.ggml.add_bos_token", add_bos)},
                 {"add_eos_token", m.get_bool("tokenizer.ggml.add_eos_token", false)}};
  constexpr std::pair<const char*, const char*> kTokens[] = {
      {"bos_token", "bos_token_id"}, {"eos_token", "eos_token_id"}, {"pad_token", "padding_token_id"}};
  for (const auto& [name, key] : kTokens) {
    std::string full = std::string("tokenizer.ggml.") + key;
    if (!m.has(full)) continue;
    int64_t id = m.require_int(full, 0, static_cast<int64_t>(v.tokens.size()) - 1);
    config[name] = v.tokens[static_cast<size_t>(id)];
  }
  const std::string chat = "tokenizer.chat_template";
  if (m.has(chat)) config["chat_template"] = m.require_string(chat);
  return config.dump(2);
}
}  // namespace

GgufTokenizer gguf_tokenizer(const GgufModel& model, int64_t rows) {
  const GgufMetadata& m = model.metadata();
  Vocabulary v = read_vocabulary(m, rows);
  std::string kind = m.require_string("tokenizer.ggml.model");
  const std::string pre_key = "tokenizer.ggml.pre";
  std::string pre = m.has(pre_key) ? m.require_string(pre_key) : "default";
  std::optional<PreKind> known = pre_kind(pre);
  GgufTokenizer result;
  auto refuse = [&](const std::string& problem) {
    result.unsupported.emplace(ErrorCode::kUnsupported, fmt::format("{}: {}", m.file(), problem));
  };
  if (kind != "gpt2") {
    refuse(fmt::format("key \"tokenizer.ggml.model\": {} is not supported, only \"gpt2\" (byte-level BPE)",
                       quoted_name(kind)));
  } else if (!known) {
    refuse(fmt::format("key \"{}\": {} is not known; known: {}", pre_key, quoted_name(pre), kKnownPre));
  } else {
    result.json = write_json(m, v, *known);
  }
  result.config = write_config(m, v, known && known->add_bos);
  return result;
}

}  // namespace unha
