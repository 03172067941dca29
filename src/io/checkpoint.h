// SPDX-License-Identifier: Apache-2.0
// A model directory as Hugging Face lays it out: config.json, model.safetensors or shards with an index, and the
// tokenizer. Ours also have checksums.json, {"file": "SHA-256 hex"}: a listed file is checked when it is loaded.
// Nothing outside the directory is read: a name with a slash is refused.
//
// Training writes DIR/step-NNNNNNNN through CheckpointWriter and points the link DIR/last at it (docs/format.md).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "io/safetensors.h"

namespace unha {

class Checkpoint {
 public:
  // path: a model directory (or a link to one), a .safetensors file, or a .safetensors.index.json. With verify, the
  // files listed in checksums.json beside it must have their digests: Error(kCorrupt) with both.
  static Checkpoint open(const std::string& path, bool verify = true);

  const TensorMap& tensors() const { return tensors_; }
  const TensorInfo* find(const std::string& name) const;  // nullptr if there is none
  // Path of the file that holds a tensor of tensors().
  const std::string& file_of(const TensorInfo& tensor) const;
  int64_t weight_bytes() const;
  // The directory, a link at its end already followed, so that everything is read from one checkpoint.
  const std::string& dir() const { return dir_; }

  bool has_file(const std::string& name) const;
  // A file of the directory, verified. Error(kNotFound) if it is not there.
  std::string read_text(const std::string& name) const;
  SafetensorsFile open_safetensors(const std::string& name) const;

 private:
  Checkpoint() = default;
  void read_checksums();
  void verify(const std::string& name, std::span<const std::byte> bytes) const;
  void load_single(const std::string& name);
  void load_sharded(const std::string& index_name);

  std::string dir_;
  std::map<std::string, std::string> checksums_;
  std::vector<SafetensorsFile> files_;
  TensorMap tensors_;
};

// Writes DIR/step-NNNNNNNN. Files go to DIR/.tmp-step-NNNNNNNN first, each fsynced; commit() adds checksums.json,
// renames the folder, swaps DIR/last by rename, and removes what is old. Killed at any moment, DIR/last still names a
// complete checkpoint: the one before or this one. One process writes to a DIR at a time.
class CheckpointWriter {
 public:
  CheckpointWriter(std::string dir, int64_t step);
  CheckpointWriter(FileSystem& fs, std::string dir, int64_t step);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  void add(const std::string& name, std::string_view bytes);
  void add_safetensors(const std::string& name, std::vector<TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
  // Keeps the newest `keep` steps up to this one, and whatever `last` points at. Returns the path of the step.
  std::string commit(int64_t keep = 2);

 private:
  CheckpointWriter(std::unique_ptr<FileSystem> own, FileSystem* fs, std::string dir, int64_t step);
  void place();
  void prune(int64_t keep);

  std::unique_ptr<FileSystem> own_;
  FileSystem& fs_;
  std::string dir_, step_name_, temporary_;
  int64_t step_;
  std::map<std::string, std::string> checksums_;
  bool committed_ = false;
};

struct LastCheckpoint {
  std::string path;  // DIR/step-NNNNNNNN
  int64_t step;
};
// What DIR/last points at; nothing if there is no such link. Error(kCorrupt) if it leads to no step of DIR.
std::optional<LastCheckpoint> last_checkpoint(const std::string& dir);

// Removes a folder and all in it through fs, links not followed. Absent is fine.
void remove_tree(FileSystem& fs, const std::string& path);

}  // namespace unha
