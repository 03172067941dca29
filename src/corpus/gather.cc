// SPDX-License-Identifier: Apache-2.0
// Reading sources. Sampling and splitting go by the hash of a document's text, so neither the order of files nor other
// sources change what becomes of a document.
#include "corpus/gather.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "corpus/clean.h"
#include "corpus/extract.h"
#include "corpus/facts.h"
#include "corpus/hash.h"
#include "corpus/smalltalk.h"
#include "corpus/task.h"
#include "io/file.h"

namespace unha::corpus {
namespace {

constexpr uint64_t kLinesSalt = 0x6C696E6573;  // each use of a document's hash takes other bits
constexpr uint64_t kSampleSalt = 0x73616D706C65;

template <class Take>
void for_each_row(const std::filesystem::path& path, const Take& take) {
  std::string bytes = read_file(path.string());
  int64_t row = 0;
  for (std::string_view line : split_lines(bytes)) {
    ++row;
    if (trim(line).empty()) continue;
    std::string what = fmt::format("{} row {}", path.string(), row);
    take(parse_json(line, what), what);
  }
}

std::string string_field(const Json& object, const std::string& key, const std::string& what) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: has no string \"{}\"", what, key);
  }
  return object[key].get<std::string>();
}

Chat read_chat(const Json& row, const std::string& what) {
  Chat chat;
  if (!row.is_object() || !row.contains("messages") || !row["messages"].is_array() || row["messages"].empty()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: has no list \"messages\"", what);
  }
  bool answered = false;
  for (const Json& message : row["messages"]) {
    Message m{string_field(message, "role", what), clean_text(string_field(message, "content", what))};
    if (m.role != "system" && m.role != "user" && m.role != "assistant") {
      throw_error(ErrorCode::kInvalidArgument, "{}: role \"{}\", expected system, user or assistant", what, m.role);
    }
    answered = answered || m.role == "assistant";
    chat.messages.push_back(std::move(m));
  }
  if (!answered) throw_error(ErrorCode::kInvalidArgument, "{}: no message is the assistant's, nothing to learn", what);
  return chat;
}

}  // namespace

std::vector<Document> read_documents(const SourceSpec& spec, const std::filesystem::path& root) {
  std::vector<Document> documents;
  auto add = [&](std::string name, std::string text) {
    bool join =
        spec.lines == Lines::kJoin || (spec.lines == Lines::kMix && mix_hash(text_hash(text) ^ kLinesSalt) % 2 == 0);
    if (join) text = unwrap_paragraphs(text);
    if (static_cast<int64_t>(text.size()) >= spec.min_document_bytes)
      documents.push_back({std::move(name), std::move(text)});
  };
  auto take = [&](Document&& raw) {
    std::string text = clean_text(raw.text);
    if (text.empty()) return;
    if (spec.split_bytes == 0 || static_cast<int64_t>(text.size()) <= spec.split_bytes) {
      add(std::move(raw.name), std::move(text));
      return;
    }
    int64_t n = 0;
    for (std::string& piece : split_long_text(text, spec.split_bytes)) {
      add(fmt::format("{}/{}", raw.name, n++), std::move(piece));
    }
  };
  if (spec.kind == SourceKind::kJsonl) {
    int64_t n = 0;
    for_each_row(spec.path, [&](const Json& row, const std::string& what) {
      take({fmt::format("{}", n++), string_field(row, spec.field, what)});
    });
  } else {
    extract(spec.extract, {root, spec.include, spec.exclude}, take);
  }
  return documents;
}

void split_documents(std::vector<Document> documents, double heldout_percent, Gathered& source) {
  const SourceSpec& spec = *source.spec;
  if (spec.hold_out) {
    source.heldout = std::move(documents);
    return;
  }
  auto per_million = static_cast<uint64_t>(heldout_percent * 10000.0 + 0.5);
  std::vector<uint64_t> hashes;
  for (const Document& document : documents) hashes.push_back(text_hash(document.text));
  auto chosen = [&](size_t i) { return hashes[i] % 1000000 < per_million; };
  size_t forced = documents.size();
  if (per_million > 0 && documents.size() >= 2) {
    bool any = false;
    for (size_t i = 0; i < documents.size(); ++i) any = any || chosen(i);
    if (!any) forced = static_cast<size_t>(std::min_element(hashes.begin(), hashes.end()) - hashes.begin());
  }
  std::vector<size_t> train;
  for (size_t i = 0; i < documents.size(); ++i) {
    if (chosen(i) || i == forced) {
      source.heldout.push_back(std::move(documents[i]));
    } else {
      train.push_back(i);
    }
  }
  if (spec.max_bytes > 0) {
    std::vector<size_t> ranked = train;
    std::stable_sort(ranked.begin(), ranked.end(), [&](size_t a, size_t b) {
      return mix_hash(hashes[a] ^ kSampleSalt) < mix_hash(hashes[b] ^ kSampleSalt);
    });
    int64_t bytes = 0;
    size_t n = 0;
    while (n < ranked.size() && bytes < spec.max_bytes)
      bytes += static_cast<int64_t>(documents[ranked[n++]].text.size());
    ranked.resize(n);
    std::sort(ranked.begin(), ranked.end());
    train = std::move(ranked);
  }
  for (size_t i : train) source.train.push_back(std::move(documents[i]));
}

void read_conversations(const SourceSpec& spec, const std::filesystem::path& root, uint64_t seed, Gathered& source) {
  switch (spec.kind) {
    case SourceKind::kGenerate: {
      TaskSet set = generate_task(*make_task(spec.task), seed, spec.count, spec.eval);
      source.chats = std::move(set.chats);
      source.eval = std::move(set.eval);
      break;
    }
    case SourceKind::kFacts: {
      FactOptions options{spec.min_count, spec.limit, spec.max_answer_bytes, spec.phrasings, spec.eval};
      FactSet set = generate_facts(spec.task, root, options);
      source.chats = std::move(set.chats);
      source.eval = std::move(set.eval);
      break;
    }
    case SourceKind::kSmalltalk:
      source.chats = generate_smalltalk(seed, spec.count);
      break;
    case SourceKind::kChatJsonl:
      for_each_row(spec.path,
                   [&](const Json& row, const std::string& what) { source.chats.push_back(read_chat(row, what)); });
      break;
    default:
      UNHA_CHECK(false, "source {} gives text, not conversations", spec.name);
  }
}

std::string plain_chat(const Chat& chat) {
  std::string out;
  for (const Message& message : chat.messages) {
    std::string_view text = message.content;
    // The tags of a trace are tokens of their own, never text.
    for (size_t at; (at = text.find("<think>\n")) != std::string_view::npos ||
                    (at = text.find("</think>\n")) != std::string_view::npos;) {
      out += text.substr(0, at);
      text.remove_prefix(text.find('\n', at) + 1);
    }
    out += text;
    out += '\n';
  }
  if (!out.empty()) out.pop_back();
  return clean_text(out);
}

}  // namespace unha::corpus
