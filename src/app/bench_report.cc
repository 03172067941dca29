// SPDX-License-Identifier: Apache-2.0
#include "app/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/progress.h"

namespace unha {

void BenchReport::note(std::string key, std::string value) { notes_.emplace_back(std::move(key), std::move(value)); }

void BenchReport::add(BenchFigure figure) { figures_.push_back(std::move(figure)); }

std::string BenchReport::text() const {
  size_t name_width = 0, value_width = 0, unit_width = 0, key_width = 0;
  for (const auto& [key, value] : notes_) key_width = std::max(key_width, key.size());
  for (const BenchFigure& f : figures_) {
    name_width = std::max(name_width, f.name.size());
    value_width = std::max(value_width, number_text(f.value).size());
    unit_width = std::max(unit_width, f.unit.size());
  }
  std::string out;
  for (const auto& [key, value] : notes_) out += fmt::format("{:<{}}  {}\n", key, key_width, value);
  std::string section;
  for (const BenchFigure& f : figures_) {
    if (f.section != section) {
      out += fmt::format("\n{}\n", f.section);
      section = f.section;
    }
    out += fmt::format("  {:<{}}  {:>{}} {}", f.name, name_width, number_text(f.value), value_width, f.unit);
    if (!f.limit.empty()) {
      out += fmt::format("{:<{}}  {:5.1f} % of {}", "", unit_width - f.unit.size(), 100 * f.share, f.limit);
    }
    out += '\n';
  }
  return out;
}

std::string BenchReport::csv() const {
  std::string out = "section,name,value,unit,limit,share";
  std::string constant;
  for (const auto& [key, value] : notes_) {
    out += "," + csv_field(key);
    constant += "," + csv_field(value);
  }
  out += '\n';
  for (const BenchFigure& f : figures_) {
    out += fmt::format("{},{},{:.6g},{},{},{}{}\n", csv_field(f.section), csv_field(f.name), f.value, csv_field(f.unit),
                       csv_field(f.limit), f.limit.empty() ? "" : fmt::format("{:.4f}", f.share), constant);
  }
  return out;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace unha
