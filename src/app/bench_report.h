// SPDX-License-Identifier: Apache-2.0
// Figures of `unha bench`, each beside the limit of the machine that it is a share of, as text for people and as CSV.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace unha {

struct BenchFigure {
  std::string section;  // machine, training, training by op, inference
  std::string name;     // "decode at context 256"
  double value = 0;
  std::string unit;  // tokens/s, TFLOP/s, ms/step, GB/s
  // What the share is taken of; empty: no share.
  std::string limit;
  double share = 0;  // 0 to 1
};

class BenchReport {
 public:
  // Lines of `key,value` above the table: version, machine, class, model.
  void note(std::string key, std::string value);
  void add(BenchFigure figure);

  std::string text() const;
  // One header line, then a row per figure: section,name,value,unit,limit,share and the notes as columns.
  std::string csv() const;

 private:
  std::vector<std::pair<std::string, std::string>> notes_;
  std::vector<BenchFigure> figures_;
};

// A field of CSV, quoted where it must be.
std::string csv_field(const std::string& text);

}  // namespace unha
