// SPDX-License-Identifier: Apache-2.0
// Files of a source. Everything read here is untrusted: sizes are bounded, streams may be truncated or hostile.
#include "corpus/files.h"

#include <fnmatch.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "io/file.h"

namespace unha::corpus {
namespace fs = std::filesystem;

namespace {
constexpr size_t kChunk = 1 << 16;

class InflateStream {
 public:
  explicit InflateStream(const std::string& what) {
    if (inflateInit2(&stream_, 15 + 32) != Z_OK) throw_error(ErrorCode::kResource, "{}: zlib does not start", what);
  }
  ~InflateStream() { inflateEnd(&stream_); }
  InflateStream(const InflateStream&) = delete;
  InflateStream& operator=(const InflateStream&) = delete;
  z_stream& get() { return stream_; }

 private:
  z_stream stream_{};
};
}  // namespace

std::vector<fs::path> list_files(const fs::path& root) {
  std::error_code status;
  if (fs::is_regular_file(root, status)) return {root.filename()};
  if (!fs::is_directory(root, status)) {
    throw_error(ErrorCode::kNotFound, "{}: no such file or folder", root.string());
  }
  std::vector<fs::path> files;
  auto options = fs::directory_options::skip_permission_denied;
  for (auto it = fs::recursive_directory_iterator(root, options); it != fs::recursive_directory_iterator(); ++it) {
    if (!it->is_symlink() && it->is_regular_file()) files.push_back(it->path().lexically_relative(root));
  }
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) { return a.string() < b.string(); });
  return files;
}

bool path_matches(const std::string& path, const std::vector<std::string>& include,
                  const std::vector<std::string>& exclude) {
  auto hit = [&](const std::string& pattern) { return fnmatch(pattern.c_str(), path.c_str(), 0) == 0; };
  if (!include.empty() && std::none_of(include.begin(), include.end(), hit)) return false;
  return std::none_of(exclude.begin(), exclude.end(), hit);
}

std::string inflate_all(std::string_view bytes, const std::string& what, int64_t* consumed) {
  InflateStream stream(what);
  z_stream& z = stream.get();
  std::string out;
  std::string chunk(kChunk, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  size_t left = bytes.size();
  for (;;) {
    if (z.avail_in == 0) {
      z.avail_in = static_cast<uInt>(std::min<size_t>(left, size_t{1} << 30));
      left -= z.avail_in;
    }
    z.next_out = reinterpret_cast<Bytef*>(chunk.data());
    z.avail_out = static_cast<uInt>(chunk.size());
    int code = inflate(&z, Z_NO_FLUSH);
    out.append(chunk.data(), chunk.size() - z.avail_out);
    if (static_cast<int64_t>(out.size()) > kMaxFileBytes) {
      throw_error(ErrorCode::kResource, "{}: decompresses to more than {} bytes", what, kMaxFileBytes);
    }
    if (code == Z_STREAM_END) {
      size_t rest = z.avail_in + left;
      bool member = !consumed && rest >= 2 && z.next_in[0] == 0x1f && z.next_in[1] == 0x8b;
      if (member && inflateReset(&z) == Z_OK) continue;
      if (consumed) *consumed = static_cast<int64_t>(bytes.size() - rest);
      return out;
    }
    if (code != Z_OK || (z.avail_in == 0 && left == 0 && z.avail_out != 0)) {
      throw_error(ErrorCode::kCorrupt, "{}: the compressed stream is damaged or cut short", what);
    }
  }
}

std::string unlzma_raw(std::string_view bytes, const std::string& what, int64_t* consumed) {
  lzma_options_lzma options{};
  if (lzma_lzma_preset(&options, 6)) throw_error(ErrorCode::kResource, "{}: lzma does not start", what);
  lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_raw_decoder(&stream, filters) != LZMA_OK) {
    throw_error(ErrorCode::kResource, "{}: lzma does not start", what);
  }
  std::string out;
  std::string chunk(kChunk, '\0');
  stream.next_in = reinterpret_cast<const uint8_t*>(bytes.data());
  stream.avail_in = bytes.size();
  lzma_ret code = LZMA_OK;
  while (code == LZMA_OK && static_cast<int64_t>(out.size()) <= kMaxFileBytes) {
    stream.next_out = reinterpret_cast<uint8_t*>(chunk.data());
    stream.avail_out = chunk.size();
    code = lzma_code(&stream, LZMA_FINISH);
    out.append(chunk.data(), chunk.size() - stream.avail_out);
  }
  size_t rest = stream.avail_in;
  lzma_end(&stream);
  if (code != LZMA_STREAM_END) {
    throw_error(ErrorCode::kCorrupt, "{}: the compressed stream is damaged, cut short or too large", what);
  }
  if (consumed) *consumed = static_cast<int64_t>(bytes.size() - rest);
  return out;
}

std::string read_maybe_gzip(const fs::path& path) {
  std::string bytes = read_file(path.string());
  if (bytes.size() < 2 || bytes[0] != '\x1f' || bytes[1] != '\x8b') return bytes;
  return inflate_all(bytes, path.string());
}

}  // namespace unha::corpus
