// SPDX-License-Identifier: Apache-2.0
// Files: the seam between the program and the disk. Everything that writes goes through FileSystem, so that tests can
// put a full disk, a short read or a crash at any operation (faulty_file_system.h); PosixFileSystem is the real one and
// has no state, so it is made where it is needed.
//
// Nothing here leaves a half-written file under its final name: content is written to a temporary name in the same
// folder, fsynced, renamed, and the folder is fsynced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"

namespace unha {

// An open file. Errors are Error with the path in the message; a full disk is kResource.
class File {
 public:
  explicit File(std::string path) : path_(std::move(path)) {}
  virtual ~File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // At most `bytes` from `offset` on; returns how many, 0 only at the end of the file.
  virtual int64_t read_some(int64_t offset, void* to, int64_t bytes) = 0;
  // At most `bytes`, at least one; returns how many.
  virtual int64_t write_some(int64_t offset, const void* from, int64_t bytes) = 0;
  virtual int64_t size() = 0;
  virtual void sync() = 0;

  // All of it. Error(kCorrupt) if the file ends before.
  void read_exact(int64_t offset, void* to, int64_t bytes);
  void write_all(int64_t offset, const void* from, int64_t bytes);

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual std::unique_ptr<File> open(const std::string& path) = 0;  // to read; must be a regular file
  // To write; replaces a left-over of that name. Errors call it `shown`, the name that the content will have in the
  // end.
  virtual std::unique_ptr<File> create(const std::string& path, const std::string& shown) = 0;
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual void exchange(const std::string& a, const std::string& b) = 0;  // swaps two names in one step
  virtual void remove(const std::string& path) = 0;                       // file, link or empty folder; absent is fine
  virtual void make_dir(const std::string& path) = 0;                     // with parents; existing is fine
  virtual void make_symlink(const std::string& target, const std::string& link) = 0;
  virtual void sync_dir(const std::string& path) = 0;
};

class PosixFileSystem : public FileSystem {
 public:
  std::unique_ptr<File> open(const std::string& path) override;
  std::unique_ptr<File> create(const std::string& path, const std::string& shown) override;
  void rename(const std::string& from, const std::string& to) override;
  void exchange(const std::string& a, const std::string& b) override;
  void remove(const std::string& path) override;
  void make_dir(const std::string& path) override;
  void make_symlink(const std::string& target, const std::string& link) override;
  void sync_dir(const std::string& path) override;
};

// Sequential buffered writing with a running SHA-256. finish() flushes and fsyncs and gives the digest of all bytes.
class FileWriter {
 public:
  explicit FileWriter(File& file, int64_t offset = 0);
  void write(const void* data, int64_t bytes);
  void write(std::string_view text) { write(text.data(), static_cast<int64_t>(text.size())); }
  void flush();
  int64_t position() const { return position_; }  // where the next byte goes
  std::string finish();

 private:
  File& file_;
  int64_t position_;
  std::vector<std::byte> buffer_;
  Sha256 sha_;
};

// A file that appears under its name with commit() or not at all.
class AtomicFile {
 public:
  AtomicFile(FileSystem& fs, std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  File& file() { return *file_; }
  void commit();

 private:
  FileSystem& fs_;
  std::string path_, temporary_;
  std::unique_ptr<File> file_;
};

// A whole file, mapped for reading. Move keeps the addresses.
class MappedFile {
 public:
  static MappedFile open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, static_cast<size_t>(size_)}; }
  const std::byte* data() const { return data_; }
  int64_t size() const { return size_; }
  const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, const std::byte* data, int64_t size)
      : path_(std::move(path)), data_(data), size_(size) {}
  std::string path_;
  const std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

std::string read_file(const std::string& path);
std::string read_file(FileSystem& fs, const std::string& path);
void write_file_atomic(const std::string& path, std::string_view bytes);
void write_file_atomic(FileSystem& fs, const std::string& path, std::string_view bytes);
// Points `link` at `target` (as written, relative or not) in one step, whether or not the link exists.
void replace_symlink(FileSystem& fs, const std::string& link, const std::string& target);
void replace_symlink(const std::string& link, const std::string& target);

// The folder that holds `path` ("." for a bare name), and the last part of `path`.
std::string parent_dir(const std::string& path);
std::string base_name(const std::string& path);
// A name from a file, fit for one line of an error message: in quotes, control characters escaped, long ones cut.
std::string quoted_name(std::string_view name);
// Error for a failed system call: throw_io_error(ENOSPC, "write", path).
[[noreturn]] void throw_io_error(int error_number, const char* verb, const std::string& path);

}  // namespace unha
