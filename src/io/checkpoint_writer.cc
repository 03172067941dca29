// SPDX-License-Identifier: Apache-2.0
// CheckpointWriter: the order of renames and fsyncs that keeps DIR/last valid at every moment.
#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/json.h"
#include "io/checkpoint.h"

namespace unha {

namespace {
constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kTemporaryPrefix = ".tmp-";

std::string step_name(int64_t step) { return fmt::format("{}{:08}", kStepPrefix, step); }

// step-00000120 -> 120
std::optional<int64_t> parse_step(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  std::string digits(name.substr(kStepPrefix.size()));
  if (digits.size() < 8 || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  int64_t step = std::stoll(digits);
  return step_name(step) == name ? std::optional(step) : std::nullopt;
}

std::vector<std::string> names_in(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error && error.value() != ENOENT) throw_io_error(error.value(), "list", dir);
  std::sort(names.begin(), names.end());
  return names;
}

void remove_stale(FileSystem& fs, const std::string& dir) {
  for (const std::string& name : names_in(dir)) {
    if (name.starts_with(kTemporaryPrefix)) remove_tree(fs, dir + "/" + name);
  }
}
}  // namespace

void remove_tree(FileSystem& fs, const std::string& path) {
  std::error_code error;
  auto kind = std::filesystem::symlink_status(path, error).type();
  if (kind == std::filesystem::file_type::directory) {
    for (const std::string& name : names_in(path)) remove_tree(fs, path + "/" + name);
  }
  fs.remove(path);
}

std::optional<LastCheckpoint> last_checkpoint(const std::string& dir) {
  std::string link = dir + "/last";
  std::error_code error;
  if (!std::filesystem::is_symlink(link, error)) {
    if (!std::filesystem::exists(link, error)) return std::nullopt;
    throw_error(ErrorCode::kCorrupt, "{}: expected a link to a step, found something else", link);
  }
  std::string target = std::filesystem::read_symlink(link, error).string();
  std::optional<int64_t> step = parse_step(target);
  if (error || !step || !std::filesystem::is_directory(dir + "/" + target, error)) {
    throw Error(ErrorCode::kCorrupt, fmt::format("{}: leads to {}, which is no step there", link, quoted_name(target)),
                "point it at one of the step-* folders (ln -sfn step-NNNNNNNN last), or remove it to start at 0");
  }
  return LastCheckpoint{dir + "/" + target, *step};
}

CheckpointWriter::CheckpointWriter(std::string dir, int64_t step)
    : CheckpointWriter(std::make_unique<PosixFileSystem>(), nullptr, std::move(dir), step) {}

CheckpointWriter::CheckpointWriter(FileSystem& fs, std::string dir, int64_t step)
    : CheckpointWriter(nullptr, &fs, std::move(dir), step) {}

CheckpointWriter::CheckpointWriter(std::unique_ptr<FileSystem> own, FileSystem* fs, std::string dir, int64_t step)
    : own_(std::move(own)),
      fs_(fs != nullptr ? *fs : *own_),
      dir_(std::move(dir)),
      step_name_(step_name(step)),
      temporary_(fmt::format("{}/{}{}", dir_, kTemporaryPrefix, step_name_)),
      step_(step) {
  UNHA_CHECK(step >= 0, "checkpoint of step {}", step);
  std::error_code error;
  if (!std::filesystem::is_directory(dir_, error)) {
    fs_.make_dir(dir_);
    fs_.sync_dir(parent_dir(dir_));
  }
  remove_stale(fs_, dir_);
  fs_.make_dir(temporary_);
}

CheckpointWriter::~CheckpointWriter() {
  if (committed_) return;
  try {
    remove_tree(fs_, temporary_);
  } catch (const Error&) {
    // Already failing; the next writer removes it.
  }
}

void CheckpointWriter::add(const std::string& name, std::string_view bytes) {
  UNHA_CHECK(!checksums_.contains(name) && name.find('/') == std::string::npos, "checkpoint file {}", name);
  std::unique_ptr<File> file = fs_.create(temporary_ + "/" + name, dir_ + "/" + step_name_ + "/" + name);
  FileWriter writer(*file);
  writer.write(bytes);
  checksums_[name] = writer.finish();
}

void CheckpointWriter::add_safetensors(const std::string& name, std::vector<TensorSource> tensors,
                                       const std::map<std::string, std::string>& metadata) {
  UNHA_CHECK(!checksums_.contains(name) && name.find('/') == std::string::npos, "checkpoint file {}", name);
  std::unique_ptr<File> file = fs_.create(temporary_ + "/" + name, dir_ + "/" + step_name_ + "/" + name);
  FileWriter writer(*file);
  write_safetensors(writer, std::move(tensors), metadata);
  checksums_[name] = writer.finish();
}

std::string CheckpointWriter::commit(int64_t keep) {
  UNHA_CHECK(!committed_, "checkpoint {} committed twice", step_name_);
  std::map<std::string, std::string> digests = checksums_;
  Json json = Json::object();
  for (const auto& [name, digest] : digests) json[name] = digest;
  add("checksums.json", json.dump(2) + "\n");
  fs_.sync_dir(temporary_);
  place();
  fs_.sync_dir(dir_);
  committed_ = true;
  replace_symlink(fs_, dir_ + "/last", step_name_);
  prune(keep);
  return dir_ + "/" + step_name_;
}

// Gives the complete folder its name. An earlier one of that name (a run that was killed before it moved `last`, or a
// second save of one step) changes place with it in one step, since `last` may point there.
void CheckpointWriter::place() {
  std::string path = dir_ + "/" + step_name_;
  std::error_code error;
  if (!std::filesystem::exists(std::filesystem::symlink_status(path, error))) {
    fs_.rename(temporary_, path);
    return;
  }
  try {
    fs_.exchange(temporary_, path);
  } catch (const Error&) {
    // Not every file system can; without it the old one may only be moved away if `last` is elsewhere.
    std::optional<LastCheckpoint> last = last_checkpoint(dir_);
    if (last && last->step == step_) throw;
    fs_.rename(path, dir_ + "/" + std::string(kTemporaryPrefix) + "old-" + step_name_);
    fs_.rename(temporary_, path);
  }
}

void CheckpointWriter::prune(int64_t keep) {
  std::vector<int64_t> steps;
  for (const std::string& name : names_in(dir_)) {
    std::optional<int64_t> step = parse_step(name);
    if (step && *step <= step_) steps.push_back(*step);
  }
  std::sort(steps.rbegin(), steps.rend());
  for (size_t i = static_cast<size_t>(std::max<int64_t>(keep, 1)); i < steps.size(); ++i) {
    // Under a temporary name first: a step-* folder is complete, or it is not there.
    std::string old = dir_ + "/" + std::string(kTemporaryPrefix) + "old-" + step_name(steps[i]);
    fs_.rename(dir_ + "/" + step_name(steps[i]), old);
  }
  remove_stale(fs_, dir_);
}

}  // namespace unha
