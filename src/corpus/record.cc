// SPDX-License-Identifier: Apache-2.0
#include "corpus/record.h"

#include "base/error.h"
#include "base/sha256.h"
#include "corpus/build.h"
#include "corpus/clean.h"
#include "io/file.h"

namespace unha::corpus {
namespace fs = std::filesystem;

CorpusRecord CorpusRecord::open(const fs::path& dir) {
  fs::path path = dir / "corpus.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    throw Error(ErrorCode::kNotFound, fmt::format("{}: is not a corpus (it has no corpus.json)", dir.string()),
                "make one with `unha corpus build RECIPE --out DIR`");
  }
  CorpusRecord record;
  record.dir_ = dir;
  record.json_ = parse_json(read_file(path.string()), path.string());
  JsonReader reader(record.json_, path.string());
  std::string format = reader.require<std::string>("format");
  int64_t version = reader.require<int64_t>("version");
  if (format != "unha-corpus" || version != 1) {
    throw_error(ErrorCode::kUnsupported, "{}: is {} version {}, expected unha-corpus version 1", path.string(), format,
                version);
  }
  record.digest_ = reader.require<std::string>("digest");
  for (const char* key : {"sources", "files"}) {
    if (!reader.at(key).is_array()) throw_error(ErrorCode::kCorrupt, "{}: \"{}\" is not a list", path.string(), key);
  }
  for (const Json& file : record.json_["files"]) {
    JsonReader entry(file, path.string() + ": files");
    entry.require<std::string>("path");
    entry.require<std::string>("sha256");
  }
  for (const Json& source : record.json_["sources"]) {
    JsonReader entry(source, path.string() + ": sources");
    record.sources_.push_back({entry.require<std::string>("name"), entry.require_int("repeat", 0, 1000)});
  }
  return record;
}

bool CorpusRecord::has(const std::string& file) const {
  for (const Json& entry : json_["files"]) {
    if (entry["path"] == file) return true;
  }
  return false;
}

std::string CorpusRecord::read(const std::string& file) const {
  fs::path path = dir_ / file;
  std::string bytes = read_file(path.string());
  for (const Json& entry : json_["files"]) {
    if (entry["path"] != file) continue;
    if (entry["sha256"] == Sha256::of(bytes)) return bytes;
    throw Error(ErrorCode::kCorrupt,
                fmt::format("{}: is not the file that corpus.json lists (its SHA-256 differs)", path.string()),
                "build the corpus again");
  }
  throw_error(ErrorCode::kNotFound, "{}: is not in the record of this corpus", path.string());
}

std::vector<std::string> CorpusRecord::documents(const std::string& source) const {
  std::vector<std::string> out;
  std::string file = "text/" + source + ".txt";
  if (!has(file)) return out;
  std::string bytes = read(file);
  std::string_view rest = bytes;
  while (!rest.empty()) {
    size_t end = rest.find(kDocumentSeparator);
    std::string_view document = rest.substr(0, end);
    if (end == std::string_view::npos && document.back() == '\n') document.remove_suffix(1);
    out.emplace_back(document);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 3);
  }
  return out;
}

std::vector<std::vector<Message>> CorpusRecord::chats(const std::string& source) const {
  std::vector<std::vector<Message>> out;
  std::string file = "chats/" + source + ".jsonl";
  if (!has(file)) return out;
  std::string bytes = read(file);
  int64_t row = 0;
  for (std::string_view line : split_lines(bytes)) {
    std::string what = fmt::format("{} row {}", file, ++row);
    Json json = parse_json(line, what);
    JsonReader reader(json, what);
    out.push_back(read_messages(reader.at("messages"), what));
  }
  return out;
}

}  // namespace unha::corpus
