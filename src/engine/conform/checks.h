// SPDX-License-Identifier: Apache-2.0
// What the checks of one case find, gathered into its result.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "engine/conform/conform.h"

namespace unha {

// How far values are from their reference.
struct Difference {
  double max_abs = 0;  // infinity if one of a pair is no number
  double squares = 0, reference_squares = 0;
  int64_t values = 0;

  void add(double found, double stored) {
    double d = std::fabs(found - stored);
    if (std::isnan(d)) d = std::numeric_limits<double>::infinity();
    if (d > max_abs) max_abs = d;
    squares += d * d;
    reference_squares += stored * stored;
    ++values;
  }
  void add(const Difference& other) {
    max_abs = std::fmax(max_abs, other.max_abs);
    squares += other.squares;
    reference_squares += other.reference_squares;
    values += other.values;
  }
  // Root mean square of the differences over that of the reference; 0 if there is neither.
  double rel_rms() const { return squares > 0 ? std::sqrt(squares / reference_squares) : 0; }
};

class Checks {
 public:
  // A check that decides: it holds if `problem` is empty.
  void judge(const std::string& name, const std::string& problem, Json numbers = Json::object());
  // One that is only shown.
  void report(const std::string& name, Json numbers);
  // The case cannot be run here; what was judged before still counts.
  void skip(std::string reason) { skip_ = std::move(reason); }
  // The numbers of the case as a whole.
  void compared(const Difference& all) { all_ = all; }
  // A part of the reason of a PASS.
  void note(std::string text) { notes_.push_back(std::move(text)); }

  // Nothing judged is no PASS.
  CaseResult result() const;

 private:
  void add(const std::string& name, bool judged, bool ok, Json numbers);

  Json json_ = Json::object();
  int64_t judged_ = 0;
  std::vector<std::string> problems_, notes_;
  std::optional<std::string> skip_;
  std::optional<Difference> all_;
};

// A number for JSON, which has no infinity: nothing in its place.
Json json_number(double value);

}  // namespace unha
