// SPDX-License-Identifier: Apache-2.0
// Debian packages as sources: fetched once with `apt-get download` into a cache folder, unpacked with `dpkg-deb -x`.
// Nothing is installed and no root is needed.
#pragma once

#include <filesystem>
#include <string>

namespace unha::corpus {

struct Package {
  std::string name;
  std::string version;
  std::filesystem::path file;  // the .deb in the cache
  std::string sha256;          // of the .deb
};

class PackageCache {
 public:
  explicit PackageCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  bool has(const std::string& name) const { return !find(name).empty(); }
  // From the cache, else by apt-get. Error(kNotFound) says what apt said and what to do when offline.
  Package fetch(const std::string& name) const;
  static void unpack(const Package& package, const std::filesystem::path& to);

 private:
  std::filesystem::path find(const std::string& name) const;
  std::filesystem::path folder_;
};

// Debian's rule for names: lower-case letters, digits, and + - . after the first.
bool is_package_name(const std::string& name);

}  // namespace unha::corpus
