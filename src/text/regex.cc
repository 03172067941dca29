// SPDX-License-Identifier: Apache-2.0
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"
#include "text/utf8.h"

namespace unha {

namespace {
constexpr size_t kMaxPattern = 1 << 16;
constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kHeapLimitKib = 64 * 1024;
constexpr size_t kJitStack = 32 * 1024;
constexpr size_t kJitStackMax = 1024 * 1024;

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Code = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Deleter<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Deleter<pcre2_jit_stack_free>>;

std::string error_text(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}
}  // namespace

struct RegexScratch::Impl {
  JitStack stack{pcre2_jit_stack_create(kJitStack, kJitStackMax, nullptr)};
  MatchContext context{pcre2_match_context_create(nullptr)};
  MatchData data{pcre2_match_data_create(1, nullptr)};

  Impl() {
    if (!context || !data) throw_error(ErrorCode::kResource, "no memory for regular expressions");
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

RegexScratch::RegexScratch() : impl_(std::make_unique<Impl>()) {}
RegexScratch::~RegexScratch() = default;
RegexScratch::RegexScratch(RegexScratch&&) noexcept = default;
RegexScratch& RegexScratch::operator=(RegexScratch&&) noexcept = default;

struct Regex::Impl {
  std::string what;
  Code code;
  bool jit = false;

  // Return value of the matcher: positive if it matched, PCRE2_ERROR_NOMATCH, or another error.
  int match(std::string_view text, size_t start, RegexScratch::Impl& scratch) const {
    auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    if (jit) {
      int result = pcre2_jit_match(code.get(), subject, text.size(), start, PCRE2_NO_UTF_CHECK, scratch.data.get(),
                                   scratch.context.get());
      if (result != PCRE2_ERROR_JIT_STACKLIMIT) return result;
    }
    return pcre2_match(code.get(), subject, text.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch.data.get(),
                       scratch.context.get());
  }
};

Regex::Regex(std::string_view pattern, const std::string& what) {
  if (pattern.empty() || pattern.size() > kMaxPattern) {
    throw_error(ErrorCode::kUnsupported, "{}: regular expression of {} bytes, expected 1 to {}", what, pattern.size(),
                kMaxPattern);
  }
  auto impl = std::make_unique<Impl>();
  impl->what = what;
  std::string translated = translate_regex(pattern, what);
  CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) throw_error(ErrorCode::kResource, "no memory for regular expressions");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t offset = 0;
  impl->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                                 context.get()));
  if (!impl->code) {
    throw_error(ErrorCode::kUnsupported, "{}: regular expression \"{}\" does not compile: {}", what,
                pattern.substr(0, 200), error_text(error));
  }
  impl->jit = pcre2_jit_compile(impl->code.get(), PCRE2_JIT_COMPLETE) == 0;
  impl_ = std::move(impl);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

void Regex::find_all(std::string_view text, RegexScratch& scratch, std::vector<Span>& out) const {
  const size_t* found = pcre2_get_ovector_pointer(scratch.impl_->data.get());
  size_t start = 0;
  size_t last_end = std::string_view::npos;
  while (start <= text.size()) {
    int result = impl_->match(text, start, *scratch.impl_);
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0) {
      throw_error(ErrorCode::kUnsupported, "{}: regular expression gave up: {}", impl_->what, error_text(result));
    }
    Span span{found[0], found[1]};
    if (span.begin > span.end) throw_error(ErrorCode::kUnsupported, "{}: a match ends before it starts", impl_->what);
    if (span.begin == span.end && span.end == last_end) {
      if (start >= text.size()) return;
      next_char(text, start);
      continue;
    }
    out.push_back(span);
    start = last_end = span.end;
  }
}

}  // namespace unha
