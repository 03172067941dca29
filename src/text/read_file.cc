// SPDX-License-Identifier: Apache-2.0
#include "text/read_file.h"

#include <fstream>
#include <iterator>

#include "base/error.h"

namespace unha {

namespace {
constexpr std::uintmax_t kMaxBytes = std::uintmax_t{1} << 30;
}

std::string read_whole_file(const std::filesystem::path& path) {
  std::error_code error;
  auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw_error(ErrorCode::kNotFound, "{}: no such file", path.string());
  if (std::filesystem::is_directory(status)) {
    throw_error(ErrorCode::kInvalidArgument, "{}: is a folder, expected a file", path.string());
  }
  if (std::filesystem::is_regular_file(status) && std::filesystem::file_size(path, error) > kMaxBytes && !error) {
    throw_error(ErrorCode::kResource, "{}: larger than {} bytes", path.string(), kMaxBytes);
  }
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.is_open() || in.bad()) throw_error(ErrorCode::kResource, "{}: cannot be read", path.string());
  return text;
}

}  // namespace unha
