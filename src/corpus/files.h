// SPDX-License-Identifier: Apache-2.0
// Files of a source: sorted listings, patterns, gzip, zlib and raw LZMA.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace unha::corpus {

// No single input or decompressed stream may be larger: a decompression bomb is an Error, not an exhausted machine.
inline constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

// Regular files below root (no symbolic links), as paths relative to root, sorted bytewise. A root that is a file
// gives that file alone, as its own name.
std::vector<std::filesystem::path> list_files(const std::filesystem::path& root);

// Shell patterns (fnmatch; * also crosses slashes) against a relative path: one of `include` (or it is empty), and
// none of `exclude`.
bool path_matches(const std::string& path, const std::vector<std::string>& include,
                  const std::vector<std::string>& exclude);

// gzip (all members, as dictzip writes) or zlib stream. `consumed` receives the bytes read when not null.
std::string inflate_all(std::string_view bytes, const std::string& what, int64_t* consumed = nullptr);
// A raw LZMA2 stream, as R's compress type Z.
std::string unlzma_raw(std::string_view bytes, const std::string& what, int64_t* consumed);
// The file, decompressed when it begins with gzip's magic.
std::string read_maybe_gzip(const std::filesystem::path& path);

}  // namespace unha::corpus
