// SPDX-License-Identifier: Apache-2.0
// A base for reading large JSON by events: everything is refused unless the subclass takes it. Headers of safetensors
// and shard indexes have up to 100,000 keys, for which a tree with ordered keys is quadratic.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace unha {

class RefusingSax : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("true or false"); }
  bool number_integer(int64_t) override { return refuse("a negative number"); }
  bool number_unsigned(uint64_t) override { return refuse("a number"); }
  bool number_float(double, const std::string& text) override { return refuse("the number " + text); }
  bool string(std::string&) override { return refuse("a string"); }
  bool binary(Json::binary_t&) override { return refuse("binary data"); }
  bool start_object(size_t) override { return refuse("an object"); }
  bool end_object() override { return refuse("the end of an object"); }
  bool key(std::string&) override { return refuse("a key"); }
  bool start_array(size_t) override { return refuse("a list"); }
  bool end_array() override { return refuse("the end of a list"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(fmt::format("not valid JSON at byte {}", position));
  }

  // Runs over `text`; returns "" or what is wrong. NUL is refused here because the parser takes it for the end.
  std::string run(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) return "a NUL byte in the JSON";
    if (!Json::sax_parse(text.begin(), text.end(), this) && problem_.empty()) problem_ = "not valid JSON";
    return problem_;
  }

 protected:
  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }
  bool refuse(const std::string& what) { return fail(context() + " found " + what); }
  // What was being read, and what was expected.
  virtual std::string context() const = 0;

 private:
  std::string problem_;
};

}  // namespace unha
