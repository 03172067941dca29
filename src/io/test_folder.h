// SPDX-License-Identifier: Apache-2.0
// For tests and fuzz targets: a folder that is gone afterwards, and how one input fills it with files.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace unha {

class TestDir {
 public:
  TestDir() {
    std::string name = (std::filesystem::temp_directory_path() / "unha-test-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TestDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  int64_t entries() const {
    return std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator());
  }

 private:
  std::string path_;
};

// Files of these names from the pieces of `input`, which "%%%%" separates: a mutation that moves bytes moves the pieces
// with them. Names without a piece become empty files.
inline void write_pieces(const TestDir& dir, std::initializer_list<const char*> names, std::string_view input) {
  constexpr std::string_view kCut = "%%%%";
  for (const char* name : names) {
    size_t end = std::min(input.find(kCut), input.size());
    // Not emptied first: some file systems then write what follows to the disk at once.
    int file = ::open((dir / name).c_str(), O_WRONLY | O_CREAT, 0600);
    bool written = ::pwrite(file, input.data(), end, 0) == static_cast<ssize_t>(end) &&
                   ::ftruncate(file, static_cast<off_t>(end)) == 0;
    ::close(file);
    if (!written) std::abort();
    input.remove_prefix(std::min(end + kCut.size(), input.size()));
  }
}

}  // namespace unha
