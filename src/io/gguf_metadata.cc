// SPDX-License-Identifier: Apache-2.0
// Typed access to the values of a GGUF file.
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "io/gguf.h"
#include "text/utf8.h"

namespace unha {

namespace {
template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// One whole number; nothing if the type is none or the value is beyond int64.
std::optional<int64_t> load_int(GgufType type, const std::byte* from) {
  switch (type) {
    case GgufType::kU8:
      return load<uint8_t>(from);
    case GgufType::kI8:
      return load<int8_t>(from);
    case GgufType::kU16:
      return load<uint16_t>(from);
    case GgufType::kI16:
      return load<int16_t>(from);
    case GgufType::kU32:
      return load<uint32_t>(from);
    case GgufType::kI32:
      return load<int32_t>(from);
    case GgufType::kI64:
      return load<int64_t>(from);
    case GgufType::kU64: {
      auto value = load<uint64_t>(from);
      if (value > uint64_t{INT64_MAX}) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

int64_t int_width(GgufType type) {  // 0: no whole number
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
      return 8;
    default:
      return 0;
  }
}

double shortest_decimal(float value) {
  char text[64];
  auto written = std::to_chars(text, text + sizeof text, value);
  double result = 0;
  std::from_chars(text, written.ptr, result);
  return result;
}

std::string described(const GgufValue& value) {
  if (!value.array) return std::string(gguf_type_name(value.type));
  return fmt::format("an array of {} {}", value.count, gguf_type_name(value.type));
}
}  // namespace

void GgufMetadata::fail(const std::string& key, const std::string& problem) const {
  throw_error(ErrorCode::kInvalidArgument, "{}: key {}: {}", file_, quoted_name(key), problem);
}

const GgufValue& GgufMetadata::at(const std::string& key, bool array, std::string_view expected) const {
  auto found = values_.find(key);
  if (found == values_.end()) fail(key, fmt::format("expected {}, it is not there", expected));
  if (found->second.array != array) fail(key, fmt::format("expected {}, found {}", expected, described(found->second)));
  return found->second;
}

int64_t GgufMetadata::require_int(const std::string& key, int64_t low, int64_t high) const {
  constexpr std::string_view kExpected = "a whole number";
  const GgufValue& value = at(key, false, kExpected);
  if (int_width(value.type) == 0) fail(key, fmt::format("expected {}, found {}", kExpected, described(value)));
  std::optional<int64_t> number = load_int(value.type, value.data);
  if (number && *number >= low && *number <= high) return *number;
  fail(key, fmt::format("expected {} from {} to {}, found {}", kExpected, low, high,
                        number ? fmt::format("{}", *number) : "more than 2^63"));
}

double GgufMetadata::require_float(const std::string& key) const {
  constexpr std::string_view kExpected = "a finite F32 or F64";
  const GgufValue& value = at(key, false, kExpected);
  if (value.type != GgufType::kF32 && value.type != GgufType::kF64) {
    fail(key, fmt::format("expected {}, found {}", kExpected, described(value)));
  }
  double number =
      value.type == GgufType::kF32 ? static_cast<double>(load<float>(value.data)) : load<double>(value.data);
  if (!std::isfinite(number)) fail(key, fmt::format("expected {}, found {}", kExpected, number));
  return value.type == GgufType::kF32 ? shortest_decimal(load<float>(value.data)) : number;
}

bool GgufMetadata::get_bool(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  const GgufValue& value = at(key, false, "a bool");
  if (value.type != GgufType::kBool) fail(key, "expected a bool, found " + described(value));
  return value.data[0] != std::byte{0};
}

std::vector<std::string_view> GgufMetadata::require_strings(const std::string& key) const {
  constexpr std::string_view kExpected = "an array of strings";
  const GgufValue& value = at(key, true, kExpected);
  if (value.type != GgufType::kString) fail(key, fmt::format("expected {}, found {}", kExpected, described(value)));
  std::vector<std::string_view> strings;
  strings.reserve(static_cast<size_t>(value.count));
  const std::byte* from = value.data;
  for (int64_t i = 0; i < value.count; ++i) {
    auto length = load<uint64_t>(from);
    std::string_view text(reinterpret_cast<const char*>(from) + 8, length);
    if (find_invalid_utf8(text) != std::string_view::npos) fail(key, fmt::format("string {} is not UTF-8", i));
    strings.push_back(text);
    from += 8 + length;
  }
  return strings;
}

std::string GgufMetadata::require_string(const std::string& key) const {
  const GgufValue& value = at(key, false, "a string");
  if (value.type != GgufType::kString) fail(key, "expected a string, found " + described(value));
  std::string text(reinterpret_cast<const char*>(value.data) + 8, load<uint64_t>(value.data));
  if (find_invalid_utf8(text) != std::string::npos) fail(key, "not UTF-8");
  return text;
}

std::vector<int64_t> GgufMetadata::require_ints(const std::string& key) const {
  constexpr std::string_view kExpected = "an array of whole numbers";
  const GgufValue& value = at(key, true, kExpected);
  int64_t width = int_width(value.type);
  if (width == 0) fail(key, fmt::format("expected {}, found {}", kExpected, described(value)));
  std::vector<int64_t> numbers;
  numbers.reserve(static_cast<size_t>(value.count));
  for (int64_t i = 0; i < value.count; ++i) {
    std::optional<int64_t> number = load_int(value.type, value.data + i * width);
    if (!number) fail(key, fmt::format("number {} is more than 2^63", i));
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace unha
