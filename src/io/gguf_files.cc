// SPDX-License-Identifier: Apache-2.0
// The files of one GGUF model: one, or NAME-00001-of-0000N.gguf and its siblings in the same directory.
#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/error.h"
#include "io/gguf.h"

namespace unha {

namespace {
namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".gguf";
constexpr int64_t kMaxParts = 65535;

// "NAME-00002-of-00005.gguf" taken apart.
struct PartName {
  std::string prefix;  // NAME, with its directory
  int64_t number = 0;  // from 1
  int64_t count = 0;
};

std::optional<int64_t> five_digits(std::string_view text) {
  if (text.size() != 5 || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  int64_t value = 0;
  for (char c : text) value = value * 10 + (c - '0');
  return value;
}

std::optional<PartName> part_name(const std::string& path) {
  constexpr size_t kTail = 1 + 5 + 4 + 5;  // "-00002-of-00005"
  if (!path.ends_with(kExtension) || path.size() < kTail + kExtension.size()) return std::nullopt;
  size_t end = path.size() - kExtension.size();
  std::string_view tail = std::string_view(path).substr(end - kTail, kTail);
  std::optional<int64_t> number = five_digits(tail.substr(1, 5));
  std::optional<int64_t> count = five_digits(tail.substr(10));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return std::nullopt;
  return PartName{path.substr(0, end - kTail), *number, *count};
}

std::string part_path(const PartName& name, int64_t number) {
  return fmt::format("{}-{:05}-of-{:05}{}", name.prefix, number, name.count, kExtension);
}

// The file to begin with: of the only model in the directory.
std::string first_file_of(const std::string& dir) {
  std::set<std::string> models;  // first parts, there or not, and whole files
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    std::string path = dir + (dir.ends_with('/') ? "" : "/") + it->path().filename().string();
    if (!path.ends_with(kExtension) || base_name(path).starts_with(".")) continue;
    std::optional<PartName> part = part_name(path);
    models.insert(part ? part_path(*part, 1) : path);
  }
  if (error) throw_io_error(error.value(), "list", dir);
  if (models.empty()) throw_error(ErrorCode::kNotFound, "{}: no *.gguf file in this directory", dir);
  if (models.size() == 1) return *models.begin();
  std::string names;
  int shown = 0;
  for (const std::string& path : models) {
    if (++shown > 8) break;
    names += (names.empty() ? "" : ", ") + base_name(path);
  }
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("{}: {} models in this directory: {}{}", dir, models.size(), names, models.size() > 8 ? ", ..." : ""),
      "name the file (of a split one: the first)");
}

void check_parts_there(const PartName& name, const std::string& first) {
  std::string missing;
  int64_t n = 0;
  for (int64_t i = 1; i <= name.count; ++i) {
    std::error_code error;
    if (fs::exists(part_path(name, i), error)) continue;
    ++n;
    missing += (missing.empty() ? "" : ", ") + base_name(part_path(name, i));
  }
  if (n == 0) return;
  throw Error(ErrorCode::kNotFound, fmt::format("{}: {} of {} files are missing: {}", first, n, name.count, missing),
              "download the missing files into the same directory");
}

void check_part(const GgufFile& file, int64_t number, int64_t count) {
  const GgufMetadata& metadata = file.metadata();
  int64_t found_count = metadata.get_int("split.count", 1, 0, kMaxParts);
  if (found_count != count) {
    metadata.fail("split.count", fmt::format("expected {}, found {}", count, found_count));
  }
  int64_t found = metadata.get_int("split.no", 0, 0, kMaxParts);
  if (found != number) metadata.fail("split.no", fmt::format("expected {}, found {}", number, found));
}

void check_tensors(const std::vector<GgufFile>& files) {
  std::set<std::string_view> names;
  int64_t total = 0;
  for (const GgufFile& file : files) {
    for (const GgufTensor& tensor : file.tensors()) {
      ++total;
      if (names.insert(tensor.name).second) continue;
      throw_error(ErrorCode::kCorrupt, "{}: tensor {}: already in an earlier file of the model", file.path(),
                  quoted_name(tensor.name));
    }
  }
  const GgufMetadata& metadata = files[0].metadata();
  int64_t expected = metadata.get_int("split.tensors.count", total, 0, INT64_MAX);
  if (expected == total) return;
  metadata.fail("split.tensors.count", fmt::format("it says {}, the files hold {}", expected, total));
}
}  // namespace

std::vector<GgufFile> open_gguf_files(const std::string& path) {
  std::error_code error;
  std::string first = fs::is_directory(path, error) ? first_file_of(path) : path;
  std::optional<PartName> name = part_name(first);
  if (name && name->number != 1) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: part {} of a model in {} files", first, name->number, name->count),
                "name the first file: " + part_path(*name, 1));
  }
  if (name && name->number <= name->count) check_parts_there(*name, first);
  std::vector<GgufFile> files;
  files.push_back(GgufFile::open(first));
  int64_t count = std::max<int64_t>(1, files[0].metadata().get_int("split.count", 1, 0, kMaxParts));
  if (count == 1) return files;
  if (!name || name->count != count) {
    throw_error(ErrorCode::kInvalidArgument,
                "{}: key \"split.count\": {} files, so the name of this one must end in -00001-of-{:05}.gguf", first,
                count, count);
  }
  for (int64_t i = 1; i < count; ++i) files.push_back(GgufFile::open(part_path(*name, i + 1)));
  for (int64_t i = 0; i < count; ++i) check_part(files[static_cast<size_t>(i)], i, count);
  check_tensors(files);
  return files;
}

}  // namespace unha
