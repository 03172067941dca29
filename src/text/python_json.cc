// SPDX-License-Identifier: Apache-2.0
#include "text/python_json.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

namespace unha {

namespace {

void write_string(std::string_view text, std::string& out) {
  out += '"';
  for (char c : text) {
    constexpr std::string_view kFrom = "\"\\\b\f\n\r\t";
    constexpr std::string_view kTo = "\"\\bfnrt";
    if (size_t i = kFrom.find(c); i != std::string_view::npos) {
      out += '\\';
      out += kTo[i];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

// Python's repr: the shortest digits that give the number back, with an exponent below 1e-4 and from 1e16 on.
std::string float_repr(double value) {
  char buffer[64];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  size_t e = text.find('e');
  int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}e{}{:02d}", text.substr(0, e), exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  auto [fixed_end, fixed_error] = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  std::string fixed(buffer, static_cast<size_t>(fixed_end - buffer));
  if (fixed.find('.') == std::string::npos) fixed += ".0";
  return fixed;
}

void write(const Json& value, std::string& out) {
  const char* between = "";
  switch (value.type()) {
    case Json::value_t::object:
      out += '{';
      for (const auto& item : value.items()) {
        out += between;
        write_string(item.key(), out);
        out += ": ";
        write(item.value(), out);
        between = ", ";
      }
      out += '}';
      break;
    case Json::value_t::array:
      out += '[';
      for (const Json& item : value) {
        out += between;
        write(item, out);
        between = ", ";
      }
      out += ']';
      break;
    case Json::value_t::string:
      write_string(value.get_ref<const std::string&>(), out);
      break;
    case Json::value_t::number_float:
      out += float_repr(value.get<double>());
      break;
    default:
      out += value.dump();  // whole numbers, true, false, null
  }
}

}  // namespace

std::string python_json(const Json& value) {
  std::string out;
  write(value, out);
  return out;
}

}  // namespace unha
