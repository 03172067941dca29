// SPDX-License-Identifier: Apache-2.0
// A test double for the disk: it passes everything on to a real FileSystem, counts the operations that change
// something, and fails where it is told: a full disk, EIO, torn writes, short reads, or a crash (from one operation on,
// nothing happens any more, as if the process had been killed there).
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "io/file.h"

namespace unha {

struct Faults {
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  int64_t fail_at = kNever;        // the change (write, sync, rename, ...) with this number, from 0, fails
  int error_number = EIO;          // with this error; a failing write puts half of its bytes first (torn)
  bool crash = false;              // and so does everything after it
  int64_t disk_bytes = kNever;     // writes beyond this many bytes in all get ENOSPC
  int64_t longest_read = kNever;   // short reads
  int64_t longest_write = kNever;  // short writes
  int64_t read_fails_at = kNever;  // the read with this number, from 0, gets EIO
};

class FaultyFileSystem : public FileSystem {
 public:
  FaultyFileSystem(FileSystem& real, Faults faults) : real_(real), faults_(faults) {}

  int64_t changes() const { return changes_; }
  // Every change in order: "write PATH", "sync PATH", "rename FROM TO", ...
  const std::vector<std::string>& log() const { return log_; }

  std::unique_ptr<File> open(const std::string& path) override {
    return std::make_unique<FaultyFile>(*this, real_.open(path));
  }
  std::unique_ptr<File> create(const std::string& path, const std::string& shown) override {
    change("create " + path, path);
    return std::make_unique<FaultyFile>(*this, real_.create(path, shown));
  }
  void rename(const std::string& from, const std::string& to) override {
    change("rename " + from + " " + to, to);
    real_.rename(from, to);
  }
  void exchange(const std::string& a, const std::string& b) override {
    change("exchange " + a + " " + b, b);
    real_.exchange(a, b);
  }
  void remove(const std::string& path) override {
    change("remove " + path, path);
    real_.remove(path);
  }
  void make_dir(const std::string& path) override {
    change("make_dir " + path, path);
    real_.make_dir(path);
  }
  void make_symlink(const std::string& target, const std::string& link) override {
    change("make_symlink " + target + " " + link, link);
    real_.make_symlink(target, link);
  }
  void sync_dir(const std::string& path) override {
    change("sync_dir " + path, path);
    real_.sync_dir(path);
  }

 private:
  class FaultyFile : public File {
   public:
    FaultyFile(FaultyFileSystem& fs, std::unique_ptr<File> real)
        : File(real->path()), fs_(fs), real_(std::move(real)) {}
    int64_t read_some(int64_t offset, void* to, int64_t bytes) override {
      if (fs_.reads_++ == fs_.faults_.read_fails_at) throw_io_error(EIO, "read", path());
      return real_->read_some(offset, to, std::min(bytes, fs_.faults_.longest_read));
    }
    int64_t write_some(int64_t offset, const void* from, int64_t bytes) override {
      fs_.log_.push_back("write " + path());
      if (fs_.fails()) {
        if (!fs_.crashed_before_) real_->write_all(offset, from, bytes / 2);
        throw_io_error(fs_.faults_.error_number, "write", path());
      }
      int64_t room = fs_.faults_.disk_bytes - fs_.written_;
      if (room <= 0) throw_io_error(ENOSPC, "write", path());
      int64_t n = real_->write_some(offset, from, std::min({bytes, room, fs_.faults_.longest_write}));
      fs_.written_ += n;
      return n;
    }
    int64_t size() override { return real_->size(); }
    void sync() override {
      fs_.change("sync " + path(), path());
      real_->sync();
    }

   private:
    FaultyFileSystem& fs_;
    std::unique_ptr<File> real_;
  };

  // Counts one change; true if it has to fail.
  bool fails() {
    int64_t number = changes_++;
    crashed_before_ = faults_.crash && number > faults_.fail_at;
    return number == faults_.fail_at || crashed_before_;
  }
  void change(std::string what, const std::string& path) {
    log_.push_back(std::move(what));
    if (fails()) throw_io_error(faults_.error_number, "change", path);
  }

  FileSystem& real_;
  Faults faults_;
  int64_t changes_ = 0;
  int64_t reads_ = 0;
  int64_t written_ = 0;
  bool crashed_before_ = false;
  std::vector<std::string> log_;
};

}  // namespace unha
