// SPDX-License-Identifier: Apache-2.0
#include "io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace unha {

namespace {
constexpr int64_t kBufferBytes = int64_t{1} << 20;
constexpr int64_t kMaxTransfer = int64_t{1} << 30;  // Linux moves less than 2 GiB per call

class PosixFile : public File {
 public:
  PosixFile(std::string path, int fd) : File(std::move(path)), fd_(fd) {}
  ~PosixFile() override { ::close(fd_); }

  int64_t read_some(int64_t offset, void* to, int64_t bytes) override {
    for (;;) {
      ssize_t n = ::pread(fd_, to, static_cast<size_t>(std::min(bytes, kMaxTransfer)), offset);
      if (n >= 0) return n;
      if (errno != EINTR) throw_io_error(errno, "read", path());
    }
  }
  int64_t write_some(int64_t offset, const void* from, int64_t bytes) override {
    for (;;) {
      ssize_t n = ::pwrite(fd_, from, static_cast<size_t>(std::min(bytes, kMaxTransfer)), offset);
      if (n > 0 || bytes == 0) return n;
      if (n == 0) throw_io_error(EIO, "write", path());
      if (errno != EINTR) throw_io_error(errno, "write", path());
    }
  }
  int64_t size() override {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) throw_io_error(errno, "examine", path());
    return info.st_size;
  }
  void sync() override {
    if (::fsync(fd_) != 0) throw_io_error(errno, "fsync", path());
  }

 private:
  int fd_;
};

// Opens a regular file to read; its size comes back too. Without O_NONBLOCK a FIFO would wait for a writer for ever.
int open_regular(const std::string& path, int64_t* size) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw_io_error(errno, "open", path);
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    int error_number = errno;
    ::close(fd);
    throw_io_error(error_number, "examine", path);
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd);
    throw_error(ErrorCode::kInvalidArgument, "{}: expected a file, found {}", path,
                S_ISDIR(info.st_mode) ? "a folder" : "something else");
  }
  *size = info.st_size;
  return fd;
}

std::string temporary_name(const std::string& path) {
  return parent_dir(path) + fmt::format("/.tmp-{}.{}", base_name(path), ::getpid());
}
}  // namespace

void throw_io_error(int error_number, const char* verb, const std::string& path) {
  std::string why = std::generic_category().message(error_number);
  std::string message = fmt::format("{}: cannot {}: {}", path, verb, why);
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      throw Error(ErrorCode::kNotFound, message);
    case ENOSPC:
    case EDQUOT:
      throw Error(ErrorCode::kResource, message, "free some space on that disk and run again; nothing was replaced");
    case EACCES:
    case EPERM:
    case EROFS:
      throw Error(ErrorCode::kInvalidArgument, message, "check the owner and the permissions");
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case EINVAL:
    case ELOOP:
    case ENAMETOOLONG:
      throw Error(ErrorCode::kInvalidArgument, message);
    default:
      throw Error(ErrorCode::kResource, message);
  }
}

void File::read_exact(int64_t offset, void* to, int64_t bytes) {
  auto* out = static_cast<std::byte*>(to);
  for (int64_t done = 0; done < bytes;) {
    int64_t n = read_some(offset + done, out + done, bytes - done);
    if (n == 0) {
      throw_error(ErrorCode::kCorrupt, "{}: expected {} bytes at {}, the file ends after {}", path(), bytes, offset,
                  offset + done);
    }
    done += n;
  }
}

void File::write_all(int64_t offset, const void* from, int64_t bytes) {
  const auto* in = static_cast<const std::byte*>(from);
  for (int64_t done = 0; done < bytes;) done += write_some(offset + done, in + done, bytes - done);
}

std::unique_ptr<File> PosixFileSystem::open(const std::string& path) {
  int64_t size = 0;
  int fd = open_regular(path, &size);
  return std::make_unique<PosixFile>(path, fd);
}

std::unique_ptr<File> PosixFileSystem::create(const std::string& path, const std::string& shown) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) throw_io_error(errno, "create", shown);
  return std::make_unique<PosixFile>(shown, fd);
}

void PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_io_error(errno, ("rename " + from + " to it").c_str(), to);
}

void PosixFileSystem::exchange(const std::string& a, const std::string& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0) {
    throw_io_error(errno, ("exchange " + a + " with it").c_str(), b);
  }
}

void PosixFileSystem::remove(const std::string& path) {
  if (::remove(path.c_str()) != 0 && errno != ENOENT) throw_io_error(errno, "remove", path);
}

void PosixFileSystem::make_dir(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw_io_error(error.value(), "create the folder", path);
}

void PosixFileSystem::make_symlink(const std::string& target, const std::string& link) {
  if (::symlink(target.c_str(), link.c_str()) != 0) throw_io_error(errno, "create the link", link);
}

void PosixFileSystem::sync_dir(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw_io_error(errno, "open the folder", path);
  int result = ::fsync(fd);
  int error_number = errno;
  ::close(fd);
  // Some network file systems cannot fsync a folder and say EINVAL; there is nothing better to do there.
  if (result != 0 && error_number != EINVAL) throw_io_error(error_number, "fsync the folder", path);
}

FileWriter::FileWriter(File& file, int64_t offset) : file_(file), position_(offset) { buffer_.reserve(kBufferBytes); }

void FileWriter::write(const void* data, int64_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  sha_.update(from, static_cast<size_t>(bytes));
  if (static_cast<int64_t>(buffer_.size()) + bytes > kBufferBytes) flush();
  if (bytes >= kBufferBytes) {
    file_.write_all(position_, from, bytes);
  } else {
    buffer_.insert(buffer_.end(), from, from + bytes);
  }
  position_ += bytes;
}

void FileWriter::flush() {
  auto held = static_cast<int64_t>(buffer_.size());
  file_.write_all(position_ - held, buffer_.data(), held);
  buffer_.clear();
}

std::string FileWriter::finish() {
  flush();
  file_.sync();
  return sha_.hex();
}

AtomicFile::AtomicFile(FileSystem& fs, std::string path)
    : fs_(fs), path_(std::move(path)), temporary_(temporary_name(path_)), file_(fs_.create(temporary_, path_)) {}

AtomicFile::~AtomicFile() {
  if (temporary_.empty()) return;
  file_.reset();
  try {
    fs_.remove(temporary_);
  } catch (const Error&) {
    // Already failing: the error that brought us here is the one to report.
  }
}

void AtomicFile::commit() {
  file_->sync();
  file_.reset();
  fs_.rename(temporary_, path_);
  temporary_.clear();
  fs_.sync_dir(parent_dir(path_));
}

MappedFile MappedFile::open(const std::string& path) {
  int64_t size = 0;
  int fd = open_regular(path, &size);
  void* data = nullptr;
  if (size > 0) {
    data = ::mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
      int error_number = errno;
      ::close(fd);
      throw_io_error(error_number, "map", path);
    }
  }
  ::close(fd);
  return MappedFile(path, static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), static_cast<size_t>(size_));
}

std::string read_file(FileSystem& fs, const std::string& path) {
  std::unique_ptr<File> file = fs.open(path);
  std::string text(static_cast<size_t>(file->size()), '\0');
  file->read_exact(0, text.data(), static_cast<int64_t>(text.size()));
  return text;
}

std::string read_file(const std::string& path) {
  PosixFileSystem fs;
  return read_file(fs, path);
}

void write_file_atomic(FileSystem& fs, const std::string& path, std::string_view bytes) {
  AtomicFile file(fs, path);
  file.file().write_all(0, bytes.data(), static_cast<int64_t>(bytes.size()));
  file.commit();
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  PosixFileSystem fs;
  write_file_atomic(fs, path, bytes);
}

void replace_symlink(FileSystem& fs, const std::string& link, const std::string& target) {
  std::string temporary = temporary_name(link);
  fs.remove(temporary);
  fs.make_symlink(target, temporary);
  try {
    fs.rename(temporary, link);
  } catch (const Error&) {
    try {
      fs.remove(temporary);
    } catch (const Error&) {
      // The failed rename is the one to report.
    }
    throw;
  }
  fs.sync_dir(parent_dir(link));
}

void replace_symlink(const std::string& link, const std::string& target) {
  PosixFileSystem fs;
  replace_symlink(fs, link, target);
}

std::string parent_dir(const std::string& path) {
  std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string base_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

std::string quoted_name(std::string_view name) {
  constexpr size_t kShown = 200;
  std::string text = "\"";
  for (char c : name.substr(0, kShown)) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text + (name.size() > kShown ? "...\"" : "\"");
}

}  // namespace unha
