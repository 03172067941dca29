// SPDX-License-Identifier: Apache-2.0
// Reads tokenizer.json. Every key is read or known not to matter for ids; what is not understood is refused by name.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/sha256.h"
#include "text/byte_level.h"
#include "text/tokenizer_impl.h"
#include "text/utf8.h"

namespace unha {

namespace {

constexpr int64_t kMaxId = (int64_t{1} << 20) - 1;

// Bytes that occur in no UTF-8 text; a vocabulary may lack their symbols (DeepSeek V2's does).
bool never_in_utf8(int byte) { return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5; }

struct Model {
  std::unordered_map<std::string, int32_t> vocab;
  int64_t max_id = -1;
  MergeTable merges;
  bool ignore_merges = false;
};

void read_vocab(const Json& json, const std::string& what, Model& model) {
  if (!json.is_object() || json.empty()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"vocab\" must be a non-empty object", what);
  }
  const auto& members = json.get_ref<const Json::object_t&>();
  model.vocab.reserve(members.size());
  for (const auto& [token, id] : members) {
    if (!id.is_number_integer() || id < 0 || id > kMaxId) {
      throw_error(ErrorCode::kInvalidArgument, "{}: id of token \"{}\" must be an integer within 0 and {}", what, token,
                  kMaxId);
    }
    auto value = id.get<int32_t>();
    model.vocab.emplace(token, value);
    model.max_id = std::max<int64_t>(model.max_id, value);
  }
}

int32_t id_in(const Model& model, const std::string& token, size_t rank, const std::string& what) {
  auto found = model.vocab.find(token);
  if (found == model.vocab.end()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: merge {}: \"{}\" is not in the vocabulary", what, rank, token);
  }
  return found->second;
}

// A merge is "left right", or ["left", "right"].
void read_merges(const Json& json, const std::string& what, Model& model) {
  if (!json.is_array()) throw_error(ErrorCode::kInvalidArgument, "{}: \"merges\" must be a list", what);
  model.merges = MergeTable(json.size());
  size_t rank = 0;
  for (const Json& item : json) {
    std::string left, right;
    if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      left = item[0].get<std::string>();
      right = item[1].get<std::string>();
    } else if (item.is_string()) {
      const auto& text = item.get_ref<const std::string&>();
      size_t space = text.find(' ');
      if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
        left = text.substr(0, space);
        right = text.substr(space + 1);
      }
    }
    if (left.empty() || right.empty()) {
      throw_error(ErrorCode::kInvalidArgument, "{}: merge {} must be \"left right\" or [\"left\", \"right\"]", what,
                  rank);
    }
    int32_t left_id = id_in(model, left, rank, what);
    int32_t right_id = id_in(model, right, rank, what);
    MergeTable::Merge merge{static_cast<int32_t>(rank), id_in(model, left + right, rank, what)};
    if (!model.merges.insert(left_id, right_id, merge)) {
      throw_error(ErrorCode::kInvalidArgument, "{}: merge {} (\"{}\" and \"{}\") is there twice", what, rank, left,
                  right);
    }
    ++rank;
  }
}

// A key whose value must be null, absent or a value that switches nothing on.
template <class Harmless>
void refuse_unless(JsonReader& reader, const std::string& key, Harmless harmless) {
  if (!reader.has(key)) return;
  const Json& value = reader.at(key);
  if (value.is_null() || harmless(value)) return;
  std::string shown = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  throw_error(ErrorCode::kUnsupported, "{}: \"{}\": {} is not supported", reader.what(), key, shown.substr(0, 60));
}

Model read_model(const Json& json, const std::string& what, const ByteLevel& bytes) {
  JsonReader reader(json, what);
  auto type = reader.get<std::string>("type", "BPE");
  if (type != "BPE") {
    throw_error(ErrorCode::kUnsupported, "{}: model \"{}\" is not supported, expected \"BPE\"", what, type);
  }
  refuse_unless(reader, "dropout", [](const Json& v) { return v.is_number() && v == 0; });
  refuse_unless(reader, "continuing_subword_prefix", [](const Json& v) { return v == ""; });
  refuse_unless(reader, "end_of_word_suffix", [](const Json& v) { return v == ""; });
  refuse_unless(reader, "byte_fallback", [](const Json& v) { return v == false; });
  Model model;
  read_vocab(reader.at("vocab"), what, model);
  read_merges(reader.at("merges"), what, model);
  model.ignore_merges = reader.get("ignore_merges", false);
  // An unknown token stands for characters without a symbol; with all symbols there it cannot occur.
  bool complete = true;
  for (int byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    complete = complete && (never_in_utf8(byte) || model.vocab.contains(bytes.spell({&c, 1})));
  }
  refuse_unless(reader, "unk_token", [&](const Json& v) { return v.is_string() && complete; });
  refuse_unless(reader, "fuse_unk", [&](const Json& v) { return v == false || (v == true && complete); });
  reader.finish();
  return model;
}

std::vector<AddedToken> read_added_tokens(const Json& json, const std::string& what) {
  std::vector<AddedToken> tokens;
  if (json.is_null()) return tokens;
  if (!json.is_array()) throw_error(ErrorCode::kInvalidArgument, "{}: must be a list", what);
  for (const Json& item : json) {
    JsonReader reader(item, fmt::format("{}[{}]", what, tokens.size()));
    AddedToken token;
    token.id = static_cast<int32_t>(reader.require_int("id", 0, kMaxId));
    token.content = reader.require<std::string>("content");
    token.single_word = reader.require<bool>("single_word");
    token.lstrip = reader.require<bool>("lstrip");
    token.rstrip = reader.require<bool>("rstrip");
    token.normalized = reader.require<bool>("normalized");
    token.special = reader.require<bool>("special");
    reader.finish();
    if (token.content.empty()) throw_error(ErrorCode::kInvalidArgument, "{}: empty content", reader.what());
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void check_byte_level_options(JsonReader& reader) {
  for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) reader.get(key, true);
  reader.finish();
}

// Only ByteLevel turns tokens back into the bytes we give out.
void check_decoder(const Json& json, const std::string& what) {
  if (!json.is_null()) {
    JsonReader reader(json, what);
    auto type = reader.require<std::string>("type");
    if (type == "ByteLevel") return check_byte_level_options(reader);
    if (type == "Sequence") {
      const Json& list = reader.at("decoders");
      reader.finish();
      if (list.is_array() && list.size() == 1) return check_decoder(list[0], what);
    }
    throw_error(ErrorCode::kUnsupported, "{}: decoder \"{}\" is not supported, expected \"ByteLevel\"", what, type);
  }
  throw_error(ErrorCode::kUnsupported, "{}: no decoder, expected \"ByteLevel\"", what);
}

struct Around {
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
};

std::vector<int32_t> template_ids(const Json& specials, const std::string& name, int64_t limit,
                                  const std::string& what) {
  auto found = specials.is_object() ? specials.find(name) : specials.end();
  if (found == specials.end()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: special token \"{}\" is not in \"special_tokens\"", what, name);
  }
  JsonReader reader(*found, what + ": " + name);
  reader.ignore({"id", "tokens"});
  const Json& list = reader.at("ids");
  reader.finish();
  std::vector<int32_t> ids;
  if (!list.is_array()) throw_error(ErrorCode::kInvalidArgument, "{}: {}: \"ids\" must be a list", what, name);
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id >= limit) {
      throw_error(ErrorCode::kInvalidArgument, "{}: {}: ids must be token ids below {}", what, name, limit);
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

// "single": pieces around one sequence. "pair" concerns two sequences, which nothing here encodes.
void read_template(JsonReader& reader, int64_t limit, Around& around) {
  const std::string& what = reader.what();
  reader.ignore({"pair"});
  const Json& single = reader.at("single");
  const Json& specials = reader.at("special_tokens");
  if (!single.is_array()) throw_error(ErrorCode::kInvalidArgument, "{}: \"single\" must be a list", what);
  Around own;
  bool seen = false;
  for (const Json& item : single) {
    JsonReader piece(item, what + ": single");
    bool sequence = piece.has("Sequence");
    JsonReader body(piece.at(sequence ? "Sequence" : "SpecialToken"), what + ": single");
    piece.finish();
    auto id = body.require<std::string>("id");
    body.ignore({"type_id"});
    body.finish();
    if (sequence) {
      if (seen || id != "A") throw_error(ErrorCode::kUnsupported, "{}: \"single\" must hold sequence A once", what);
      seen = true;
    } else {
      std::vector<int32_t> ids = template_ids(specials, id, limit, what);
      std::vector<int32_t>& side = seen ? own.suffix : own.prefix;
      side.insert(side.end(), ids.begin(), ids.end());
    }
  }
  if (!seen) throw_error(ErrorCode::kUnsupported, "{}: \"single\" must hold sequence A once", what);
  around.prefix.insert(around.prefix.begin(), own.prefix.begin(), own.prefix.end());
  around.suffix.insert(around.suffix.end(), own.suffix.begin(), own.suffix.end());
}

void read_post_processor(const Json& json, const std::string& what, int64_t limit, Around& around) {
  if (json.is_null()) return;
  JsonReader reader(json, what);
  auto type = reader.require<std::string>("type");
  if (type == "ByteLevel") {
    check_byte_level_options(reader);  // it moves offsets, never ids
  } else if (type == "Sequence") {
    const Json& list = reader.at("processors");
    if (!list.is_array()) throw_error(ErrorCode::kInvalidArgument, "{}: \"processors\" must be a list", what);
    for (const Json& item : list) read_post_processor(item, what, limit, around);
  } else if (type == "TemplateProcessing") {
    read_template(reader, limit, around);
  } else {
    throw_error(ErrorCode::kUnsupported,
                "{}: post-processor \"{}\" is not supported (supported: Sequence, ByteLevel, TemplateProcessing)", what,
                type);
  }
  reader.finish();
}

}  // namespace

// Lays out the tokens by id and checks that no id has two owners and no string two ids.
static void place_tokens(Tokenizer::Impl& impl, Model& model, const std::vector<AddedToken>& added,
                         const ByteLevel& bytes, const std::string& name) {
  int64_t max_id = model.max_id;
  for (const AddedToken& token : added) max_id = std::max<int64_t>(max_id, token.id);
  impl.tokens.resize(static_cast<size_t>(max_id + 1));
  for (const auto& [string, id] : model.vocab) {
    Tokenizer::Impl::Token& token = impl.tokens[id];
    if (token.present) {
      throw_error(ErrorCode::kInvalidArgument, "{}: id {} belongs to two tokens, \"{}\" and \"{}\"", name, id,
                  std::min(token.string, string), std::max(token.string, string));
    }
    token = {string, bytes.token_bytes(string), true, false, false};
  }
  impl.ids = std::move(model.vocab);
  for (const AddedToken& item : added) {
    auto [found, fresh] = impl.ids.emplace(item.content, item.id);
    Tokenizer::Impl::Token& token = impl.tokens[item.id];
    if (found->second != item.id || (fresh && token.present) || token.added) {
      throw_error(ErrorCode::kInvalidArgument,
                  "{}: added token \"{}\" with id {} contradicts another entry with the same text or id", name,
                  item.content, item.id);
    }
    token = {item.content, bytes.token_bytes(item.content), true, true, item.special};
  }
}

Tokenizer Tokenizer::parse(std::string_view text, const std::string& name) {
  Json json = parse_json(text, name);
  JsonReader reader(json, name);
  auto version = reader.get<std::string>("version", "1.0");
  if (version != "1.0") {
    throw_error(ErrorCode::kUnsupported, "{}: version \"{}\", expected \"1.0\"", name, version);
  }
  refuse_unless(reader, "truncation", [](const Json&) { return false; });
  refuse_unless(reader, "padding", [](const Json&) { return false; });
  auto part = [&](const char* key) { return reader.has(key) ? reader.at(key) : Json(); };
  ByteLevel bytes;
  PreTokenizer pre_tokenizer(part("pre_tokenizer"), name + ": pre_tokenizer");
  Normalizer normalizer(part("normalizer"), name + ": normalizer");
  check_decoder(part("decoder"), name + ": decoder");
  std::vector<AddedToken> added = read_added_tokens(part("added_tokens"), name + ": added_tokens");
  Model model = read_model(reader.at("model"), name + ": model", bytes);
  Json post_processor = part("post_processor");
  reader.finish();

  std::array<int32_t, 256> byte_ids;
  for (int byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    auto found = model.vocab.find(bytes.spell({&c, 1}));
    byte_ids[byte] = found == model.vocab.end() ? -1 : found->second;
  }
  Bpe bpe(byte_ids, std::move(model.merges));
  auto impl = std::make_unique<Impl>(std::move(pre_tokenizer), std::move(bpe));
  place_tokens(*impl, model, added, bytes, name);
  impl->json = text;
  impl->sha256 = Sha256::of(text);
  impl->normalizer = std::move(normalizer);
  for (const AddedToken& token : added) {
    if (token.normalized) {
      impl->normalized_added.add(token, impl->normalizer.apply(token.content));
    } else {
      impl->raw_added.add(token, token.content);
    }
  }
  if (model.ignore_merges) {
    // Whole words are looked up among ordinary tokens only: text must not become a control token this way.
    std::unordered_map<std::string, int32_t> words;
    for (size_t id = 0; id < impl->tokens.size(); ++id) {
      const Impl::Token& token = impl->tokens[id];
      if (!token.present || token.added) continue;
      if (auto word = bytes.unspell(token.string)) words.emplace(std::move(*word), static_cast<int32_t>(id));
    }
    impl->bpe.set_whole_words(std::move(words));
  }
  Around around;
  read_post_processor(post_processor, name + ": post_processor", static_cast<int64_t>(impl->tokens.size()), around);
  impl->prefix = std::move(around.prefix);
  impl->suffix = std::move(around.suffix);
  return Tokenizer(std::move(impl));
}

}  // namespace unha
