// SPDX-License-Identifier: Apache-2.0
// The one exception of the house, and the check that means "we are wrong".
//
// Error is for what the world gets wrong: files, configs, requests, flags, resources. It ends a command or a request;
// app/ turns it into an exit code. UNHA_CHECK is for what only our own code can get wrong; it is always on.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <utility>

namespace unha {

enum class ErrorCode {
  kUsage,            // the command line is wrong: exit 2
  kInvalidArgument,  // a config, prompt or value is wrong
  kNotFound,         // a file or object is not there
  kCorrupt,          // bytes are not what they claim to be
  kUnsupported,      // valid, but not something this program does
  kResource,         // memory, disk or another limit
};

class Error : public std::exception {
 public:
  // message: the object, what was expected and what was found. hint: what to do about it; may be empty.
  Error(ErrorCode code, std::string message, std::string hint = "")
      : code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
};

// throw_error(ErrorCode::kCorrupt, "{}: header says {} bytes, file has {}", path, n, m);
template <class... Args>
[[noreturn]] void throw_error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// Prints the message to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace unha

// UNHA_CHECK(a == b, "rms_norm: weight [{}] against x [.., {}]", a, b);
#define UNHA_CHECK(condition, ...)                                                        \
  do {                                                                                    \
    if (!(condition)) [[unlikely]] {                                                      \
      ::unha::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
    }                                                                                     \
  } while (false)

#ifdef NDEBUG
#define UNHA_DCHECK(condition, ...) \
  do {                              \
  } while (false)
#else
#define UNHA_DCHECK(...) UNHA_CHECK(__VA_ARGS__)
#endif
