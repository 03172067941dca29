// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/json.h"

namespace unha {

namespace {
namespace fs = std::filesystem;
constexpr const char* kChecksums = "checksums.json";
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// A file directly in the directory: nothing that leads elsewhere.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

bool is_digest(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// DIR/last -> DIR/step-00000010: what is read later must not change when a trainer moves the link.
std::string follow_link(const std::string& path) {
  std::string current = path;
  while (current.size() > 1 && current.back() == '/') current.pop_back();
  std::error_code error;
  for (int i = 0; i < 16 && fs::is_symlink(current, error); ++i) {
    fs::path target = fs::read_symlink(current, error);
    if (error) break;
    current = target.is_absolute() ? target.string() : (fs::path(parent_dir(current)) / target).string();
  }
  return current;
}

// name of tensor -> name of shard, from {"metadata": {...}, "weight_map": {...}}
std::map<std::string, std::string> parse_index(std::string_view text, const std::string& path) {
  Json json = parse_json(text, path);
  auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object()) {
    throw_error(ErrorCode::kCorrupt, "{}: expected an object with an object \"weight_map\"", path);
  }
  std::map<std::string, std::string> shards;
  for (const auto& item : map->items()) {
    if (!item.value().is_string()) {
      throw_error(ErrorCode::kCorrupt, "{}: tensor {}: expected the name of a file, found {}", path,
                  quoted_name(item.key()), item.value().type_name());
    }
    auto shard = item.value().get<std::string>();
    if (!is_plain_name(shard)) {
      throw_error(ErrorCode::kCorrupt, "{}: tensor {}: {} leads out of the directory", path, quoted_name(item.key()),
                  quoted_name(shard));
    }
    shards.emplace(item.key(), std::move(shard));
  }
  return shards;
}
}  // namespace

Checkpoint Checkpoint::open(const std::string& path, bool verify) {
  Checkpoint checkpoint;
  std::string real = follow_link(path);
  std::error_code error;
  if (fs::is_directory(real, error)) {
    checkpoint.dir_ = real;
    if (verify) checkpoint.read_checksums();
    if (checkpoint.has_file(kSingle)) {
      checkpoint.load_single(kSingle);
    } else if (checkpoint.has_file(kIndex)) {
      checkpoint.load_sharded(kIndex);
    } else {
      throw Error(ErrorCode::kNotFound,
                  fmt::format("{}: expected {} or {} in it, found neither", path, kSingle, kIndex),
                  checkpoint.has_file("last") ? "this looks like the output of a training run: use " + path + "/last"
                                              : "give the directory of a model");
    }
    return checkpoint;
  }
  if (!exists(path)) throw_error(ErrorCode::kNotFound, "{}: no such file or directory", path);
  checkpoint.dir_ = parent_dir(path);
  if (verify) checkpoint.read_checksums();
  std::string name = base_name(path);
  if (name.ends_with(".safetensors")) {
    checkpoint.load_single(name);
  } else if (name.ends_with(".safetensors.index.json")) {
    checkpoint.load_sharded(name);
  } else {
    throw_error(ErrorCode::kInvalidArgument, "{}: expected a model directory or a .safetensors file", path);
  }
  return checkpoint;
}

void Checkpoint::read_checksums() {
  if (!has_file(kChecksums)) return;
  std::string path = dir_ + "/" + kChecksums;
  Json json = parse_json(read_file(path), path);
  if (!json.is_object()) throw_error(ErrorCode::kCorrupt, "{}: expected an object, found {}", path, json.type_name());
  for (const auto& item : json.items()) {
    if (!is_plain_name(item.key()) || !item.value().is_string() || !is_digest(item.value().get<std::string>())) {
      throw_error(ErrorCode::kCorrupt, "{}: {}: expected the name of a file here and 64 hex digits", path,
                  quoted_name(item.key()));
    }
    checksums_[item.key()] = item.value().get<std::string>();
  }
}

void Checkpoint::verify(const std::string& name, std::span<const std::byte> bytes) const {
  auto expected = checksums_.find(name);
  if (expected == checksums_.end()) return;
  Sha256 sha;
  sha.update(bytes.data(), bytes.size());
  std::string found = sha.hex();
  if (found != expected->second) {
    throw Error(
        ErrorCode::kCorrupt,
        fmt::format("{}/{}: expected SHA-256 {} ({}), found {}", dir_, name, expected->second, kChecksums, found),
        "the file is damaged or was changed: get it again");
  }
}

void Checkpoint::load_single(const std::string& name) {
  files_.push_back(open_safetensors(name));
  tensors_ = files_.back().tensors();
}

void Checkpoint::load_sharded(const std::string& index_name) {
  std::string path = dir_ + "/" + index_name;
  std::map<std::string, std::string> index = parse_index(read_text(index_name), path);
  std::set<std::string> names;
  for (const auto& [tensor, shard] : index) names.insert(shard);
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    if (!has_file(name)) missing.push_back(quoted_name(name));
  }
  if (!missing.empty()) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("{}: {} of its {} shards are not there: {}", path, missing.size(), names.size(),
                            fmt::join(missing, ", ")),
                "download them into the same directory");
  }
  std::map<std::string, const SafetensorsFile*> shards;
  files_.reserve(names.size());
  for (const std::string& name : names) {
    files_.push_back(open_safetensors(name));
    shards[name] = &files_.back();
  }
  std::string absent;
  int64_t absent_count = 0;
  for (const auto& [tensor, shard] : index) {
    const TensorInfo* info = shards.at(shard)->find(tensor);
    if (info != nullptr) {
      tensors_.emplace(tensor, *info);
    } else if (++absent_count <= 20) {
      absent += fmt::format("{}{} in {}", absent.empty() ? "" : ", ", quoted_name(tensor), quoted_name(shard));
    }
  }
  if (absent_count > 0) {
    throw_error(ErrorCode::kCorrupt, "{}: names {} tensors that its shards do not hold: {}{}", path, absent_count,
                absent, absent_count > 20 ? ", ..." : "");
  }
}

const TensorInfo* Checkpoint::find(const std::string& name) const {
  auto place = tensors_.find(name);
  return place == tensors_.end() ? nullptr : &place->second;
}

const std::string& Checkpoint::file_of(const TensorInfo& tensor) const {
  for (const SafetensorsFile& file : files_) {
    auto bytes = file.bytes();
    if (tensor.data >= bytes.data() && tensor.data <= bytes.data() + bytes.size()) return file.path();
  }
  UNHA_CHECK(false, "tensor {} is in no file of {}", tensor.name, dir_);
  return dir_;
}

int64_t Checkpoint::weight_bytes() const {
  int64_t sum = 0;
  for (const auto& [name, info] : tensors_) sum += info.bytes;
  return sum;
}

bool Checkpoint::has_file(const std::string& name) const { return exists(dir_ + "/" + name); }

std::string Checkpoint::read_text(const std::string& name) const {
  UNHA_CHECK(is_plain_name(name), "file {} of a checkpoint", name);
  std::string text = read_file(dir_ + "/" + name);
  verify(name, std::as_bytes(std::span(text.data(), text.size())));
  return text;
}

SafetensorsFile Checkpoint::open_safetensors(const std::string& name) const {
  UNHA_CHECK(is_plain_name(name), "file {} of a checkpoint", name);
  MappedFile file = MappedFile::open(dir_ + "/" + name);
  verify(name, file.bytes());
  return SafetensorsFile::open(std::move(file));
}

}  // namespace unha
