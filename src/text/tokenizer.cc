// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.h"

#include <utility>

#include "base/error.h"
#include "text/read_file.h"
#include "text/tokenizer_impl.h"
#include "text/utf8.h"

namespace unha {

std::unique_ptr<EncodeScratch> ScratchPool::take() {
  std::lock_guard lock(mutex_);
  if (free_.empty()) return std::make_unique<EncodeScratch>();
  std::unique_ptr<EncodeScratch> scratch = std::move(free_.back());
  free_.pop_back();
  return scratch;
}

void ScratchPool::give_back(std::unique_ptr<EncodeScratch> scratch) {
  std::lock_guard lock(mutex_);
  free_.push_back(std::move(scratch));
}

namespace {
class Lease {
 public:
  explicit Lease(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
  ~Lease() { pool_.give_back(std::move(scratch_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  EncodeScratch& operator*() { return *scratch_; }

 private:
  ScratchPool& pool_;
  std::unique_ptr<EncodeScratch> scratch_;
};

std::string_view part_of(std::string_view text, const TextPart& part) {
  return text.substr(part.begin, part.end - part.begin);
}
}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path file = std::filesystem::is_directory(path, error) ? path / "tokenizer.json" : path;
  return parse(read_whole_file(file), file.string());
}

void Tokenizer::Impl::encode_words(std::string_view text, EncodeScratch& scratch, std::vector<int32_t>& out) const {
  pre_tokenizer.run(text, scratch.pre_tokenizer, [&](std::string_view word) { bpe.encode(word, scratch.bpe, out); });
}

void Tokenizer::Impl::encode_piece(std::string_view text, bool parse_added, EncodeScratch& scratch,
                                   std::vector<int32_t>& out) const {
  std::string normalized;
  if (!normalizer.is_identity()) {
    normalized = normalizer.apply(text);
    text = normalized;
  }
  if (!parse_added || normalized_added.empty()) return encode_words(text, scratch, out);
  scratch.normalized_parts.clear();
  normalized_added.split(text, scratch.normalized_parts);
  for (const TextPart& part : scratch.normalized_parts) {
    if (part.id >= 0) {
      out.push_back(part.id);
    } else {
      encode_words(part_of(text, part), scratch, out);
    }
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  const Impl& impl = *impl_;
  size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("text is not valid UTF-8 at byte {}", invalid),
                "convert it to UTF-8 first");
  }
  std::vector<int32_t> out;
  if (options.add_special) out = impl.prefix;
  Lease lease(impl.pool);
  EncodeScratch& scratch = *lease;
  if (!options.parse_added || impl.raw_added.empty()) {
    if (!text.empty()) impl.encode_piece(text, options.parse_added, scratch, out);
  } else {
    scratch.raw_parts.clear();
    impl.raw_added.split(text, scratch.raw_parts);
    for (const TextPart& part : scratch.raw_parts) {
      if (part.id >= 0) {
        out.push_back(part.id);
      } else {
        impl.encode_piece(part_of(text, part), true, scratch, out);
      }
    }
  }
  if (options.add_special) out.insert(out.end(), impl.suffix.begin(), impl.suffix.end());
  return out;
}

std::string Tokenizer::decode_bytes(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  for (int32_t id : ids) {
    const Impl::Token* token = impl_->token(id);
    if (token && !(skip_special && token->special)) out += token->bytes;
  }
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return lossy_utf8(decode_bytes(ids, skip_special));
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  const Impl::Token* token = impl_->token(id);
  return token ? std::string_view(token->bytes) : std::string_view();
}

std::string_view Tokenizer::token_string(int32_t id) const {
  const Impl::Token* token = impl_->token(id);
  return token ? std::string_view(token->string) : std::string_view();
}

int64_t Tokenizer::size() const { return static_cast<int64_t>(impl_->tokens.size()); }

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  auto found = impl_->ids.find(std::string(token));
  return found == impl_->ids.end() ? std::nullopt : std::optional(found->second);
}

bool Tokenizer::is_special(int32_t id) const {
  const Impl::Token* token = impl_->token(id);
  return token && token->special;
}

bool Tokenizer::is_added(int32_t id) const {
  const Impl::Token* token = impl_->token(id);
  return token && token->added;
}

const std::string& Tokenizer::json() const { return impl_->json; }
const std::string& Tokenizer::sha256() const { return impl_->sha256; }

}  // namespace unha
