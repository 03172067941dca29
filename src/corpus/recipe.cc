// SPDX-License-Identifier: Apache-2.0
// Reading recipes strictly.
#include "corpus/recipe.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "corpus/extract.h"
#include "corpus/facts.h"
#include "corpus/package.h"
#include "corpus/task.h"
#include "io/file.h"

namespace unha::corpus {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 40;
constexpr int64_t kMaxCount = 10'000'000;

bool is_source_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::vector<std::string> strings(JsonReader& reader, const std::string& key) {
  std::vector<std::string> out;
  if (!reader.has(key)) return out;
  const Json& list = reader.at(key);
  bool good =
      list.is_array() && std::all_of(list.begin(), list.end(), [](const Json& item) { return item.is_string(); });
  if (!good) throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" is to be a list of strings", reader.what(), key);
  for (const Json& item : list) out.push_back(item.get<std::string>());
  return out;
}

// One of `names`, as its index.
size_t one_of(const std::string& value, const std::vector<std::string>& names, const std::string& what,
              const char* key) {
  auto at = std::find(names.begin(), names.end(), value);
  if (at == names.end()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" is \"{}\", expected one of {}", what, key, value,
                fmt::join(names, ", "));
  }
  return static_cast<size_t>(at - names.begin());
}

double percent(JsonReader& reader, const char* key, double fallback) {
  double value = reader.get(key, fallback);
  if (value != fallback && !(value >= 0 && value <= 50)) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" is {}, expected 0 to 50", reader.what(), key, value);
  }
  return value;
}

void read_text_keys(JsonReader& reader, SourceSpec& source, const fs::path& folder) {
  if (source.kind == SourceKind::kPackage) {
    source.package = reader.require<std::string>("package");
    if (!is_package_name(source.package)) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" is not the name of a package", reader.what(),
                  source.package);
    }
    source.extract = reader.require<std::string>("extract");
  } else {
    source.path = folder / reader.require<std::string>("path");
    if (source.kind == SourceKind::kFolder) source.extract = reader.get<std::string>("extract", "text");
  }
  one_of(source.extract, extractor_names(), reader.what(), "extract");
  if (source.kind == SourceKind::kJsonl) {
    source.field = reader.get<std::string>("field", "text");
  } else {
    source.include = strings(reader, "include");
    source.exclude = strings(reader, "exclude");
  }
  source.lines = static_cast<Lines>(
      one_of(reader.get<std::string>("lines", "keep"), {"keep", "join", "mix"}, reader.what(), "lines"));
  source.split_bytes = reader.get_int("split_bytes", 0, 0, kMaxBytes);
  source.max_bytes = reader.get_int("max_bytes", 0, 0, kMaxBytes);
  source.min_document_bytes = reader.get_int("min_document_bytes", 1, 1, kMaxBytes);
  source.hold_out = reader.get("hold_out", false);
  source.heldout_percent = percent(reader, "heldout_percent", -1.0);
}

void read_chat_keys(JsonReader& reader, SourceSpec& source, const fs::path& folder) {
  source.sft = reader.get_int("sft", -1, -1, kMaxCount);
  if (source.kind == SourceKind::kChatJsonl) {
    source.path = folder / reader.require<std::string>("path");
    return;
  }
  if (source.kind == SourceKind::kSmalltalk) {
    source.count = reader.require_int("count", 1, kMaxCount);
    return;
  }
  source.eval = reader.get_int("eval", 0, 0, kMaxCount);
  source.task = reader.require<std::string>("task");
  if (source.kind == SourceKind::kGenerate) {
    one_of(source.task, task_names(), reader.what(), "task");
    source.count = reader.require_int("count", 0, kMaxCount);
    return;
  }
  one_of(source.task, fact_names(), reader.what(), "task");
  source.package = reader.get<std::string>("package", fact_package(source.task));
  source.min_count = reader.get_int("min_count", 5, 0, kMaxCount);
  source.limit = reader.get_int("limit", 12000, 1, kMaxCount);
  source.phrasings = reader.get_int("phrasings", 4, 1, 16);
  source.max_answer_bytes = reader.get_int("max_answer_bytes", 160, 1, 4096);
}

SourceSpec read_source(const Json& json, const std::string& what, const fs::path& folder) {
  JsonReader named(json, what);
  SourceSpec source;
  source.name = named.require<std::string>("name");
  JsonReader reader(json, fmt::format("{} (\"{}\")", what, source.name));
  reader.ignore({"name"});
  if (!is_source_name(source.name)) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"name\" may hold letters, digits, - _ and . only", reader.what());
  }
  source.kind = static_cast<SourceKind>(
      one_of(reader.require<std::string>("kind"),
             {"package", "folder", "jsonl", "chat_jsonl", "generate", "facts", "smalltalk"}, reader.what(), "kind"));
  bool needs_license = source.kind == SourceKind::kPackage || source.kind == SourceKind::kFacts;
  source.license = needs_license ? reader.require<std::string>("license") : reader.get<std::string>("license", "");
  source.notice = reader.get<std::string>("notice", "");
  source.repeat = reader.get_int("repeat", 1, 0, 1000);
  if (source.is_text()) {
    read_text_keys(reader, source, folder);
  } else {
    read_chat_keys(reader, source, folder);
  }
  reader.finish();
  return source;
}

}  // namespace

Recipe parse_recipe(const Json& json, const std::string& what, const fs::path& folder) {
  JsonReader reader(json, what);
  Recipe recipe;
  recipe.json = json;
  recipe.name = reader.require<std::string>("name");
  recipe.seed = reader.get_int("seed", 0, 0, int64_t{1} << 53);
  recipe.heldout_percent = percent(reader, "heldout_percent", 1.0);
  const Json& sources = reader.at("sources");
  reader.finish();
  if (!sources.is_array() || sources.empty()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"sources\" is to be a list of at least one source", what);
  }
  std::set<std::string> names;
  for (size_t i = 0; i < sources.size(); ++i) {
    recipe.sources.push_back(read_source(sources[i], fmt::format("{}: source {}", what, i + 1), folder));
    if (!names.insert(recipe.sources.back().name).second) {
      throw_error(ErrorCode::kInvalidArgument, "{}: two sources are called \"{}\"", what, recipe.sources.back().name);
    }
  }
  return recipe;
}

Recipe load_recipe(const fs::path& path) {
  return parse_recipe(parse_json(read_file(path.string()), path.string()), path.string(), path.parent_path());
}

}  // namespace unha::corpus
