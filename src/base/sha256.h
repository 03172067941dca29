// SPDX-License-Identifier: Apache-2.0
// SHA-256 by libcrypto, fed in pieces, as lower-case hex.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace unha {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(const void* data, size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  // 64 hex digits. The object is spent afterwards.
  std::string hex();

  static std::string of(std::string_view text) {
    Sha256 sha;
    sha.update(text);
    return sha.hex();
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace unha
