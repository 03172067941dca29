// SPDX-License-Identifier: Apache-2.0
// A model's tensors and choices against the stored ones, within the bounds of the goldens' README.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/conform/checks.h"
#include "engine/conform/golden.h"
#include "engine/conform/pass.h"

namespace unha {

// Compares sequence by sequence, then finish() judges. In f32 everything counts; in other classes the logits do, where
// the golden has a bound for them, and the rest is shown.
class TensorComparison {
 public:
  TensorComparison(const Golden& golden, Numerics numerics) : golden_(golden), numerics_(numerics) {}

  void sequence(const GoldenSequence& sequence, const WholePass& pass);
  // gguf: the golden's model is a GGUF file, for which the bounds are others.
  void finish(Checks& checks, bool gguf);

 private:
  struct Group {  // all tensors of one kind
    Difference difference;
    std::string worst;  // the tensor with the largest difference
    int64_t tensors = 0;
    int64_t rows = 0, other = 0;  // of choices: rows, and rows chosen otherwise
    std::string first_other;
  };

  void numbers(const std::string& name, const TensorInfo& stored, const Observed& found, Group& group);
  void choices(const std::string& name, const TensorInfo& stored, const Observed& found, Group& group);
  void same_route_rows(const TensorInfo& stored, const Observed& found);
  void incomplete(const GoldenSequence& sequence, const WholePass& pass);
  void judge_f32(Checks& checks) const;
  void judge_other(Checks& checks, bool gguf) const;
  std::string likely_mistake(double max_abs, bool mtp) const;

  const Golden& golden_;
  Numerics numerics_;
  std::map<std::string, Group> groups_;  // by kind
  std::vector<std::string> problems_;    // tensors missing on either side, or of another shape
  std::vector<bool> same_;               // rows of the sequence with the stored choices in every layer
  Difference same_routes_;
  int64_t same_rows_ = 0, rows_ = 0;
  bool any_choices_ = false;
};

}  // namespace unha
