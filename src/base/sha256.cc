// SPDX-License-Identifier: Apache-2.0
#include "base/sha256.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace unha {

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  UNHA_CHECK(EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1, "libcrypto has no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(const void* data, size_t bytes) {
  UNHA_CHECK(EVP_DigestUpdate(impl_->context, data, bytes) == 1, "SHA-256 update");
}

std::string Sha256::hex() {
  unsigned char digest[32];
  unsigned size = 0;
  UNHA_CHECK(EVP_DigestFinal_ex(impl_->context, digest, &size) == 1 && size == 32, "SHA-256 final");
  std::string text;
  for (unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace unha
