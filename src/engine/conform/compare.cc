// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace unha {

namespace {

// What a golden stores of a sequence, by its name without layer numbers. Bounds: in f32.
struct Kind {
  std::string_view name, check;
  double bound;
  bool choice;
};
constexpr Kind kKinds[] = {
    {"embed", "embed", 2e-4, false},
    {"attn", "attn", 2e-4, false},
    {"layer", "layer", 5e-4, false},
    {"norm", "norm", 2e-4, false},
    {"logits", "logits", 2e-4, false},
    {"router.ids", "router_ids", 0, true},
    {"router.weights", "router_weights", 1e-4, false},
    {"index.ids", "index_ids", 0, true},
    {"mtp.hidden", "mtp_hidden", 5e-4, false},
    {"mtp.logits", "mtp_logits", 2e-4, false},
};

// "router.1.ids" -> router.ids
const Kind* kind_of(const std::string& key) {
  size_t dot = key.find('.');
  size_t end = dot == std::string::npos ? dot : key.find_first_not_of("0123456789", dot + 1);
  std::string name = key;
  if (dot != std::string::npos && end != dot + 1) {
    name = key.substr(0, dot) + (end == std::string::npos ? "" : key.substr(end));
  }
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

// The ids of a row, without the padding.
std::set<int64_t> ids_of(const double* row, int64_t cols) {
  std::set<int64_t> ids;
  for (int64_t c = 0; c < cols; ++c) {
    if (row[c] >= 0) ids.insert(static_cast<int64_t>(row[c]));
  }
  return ids;
}

}  // namespace

void TensorComparison::numbers(const std::string& name, const TensorInfo& stored, const Observed& found, Group& group) {
  std::vector<double> values = golden_values(stored);
  if (values.size() != found.values.size() || stored.shape.empty() || stored.shape[0] != found.rows) {
    problems_.push_back(fmt::format("{} is stored as {}, the model has [{}, {}]", name, shape_text(stored.shape),
                                    found.rows, found.cols));
    return;
  }
  double before = group.difference.max_abs;
  for (size_t i = 0; i < values.size(); ++i) group.difference.add(found.values[i], values[i]);
  if (group.difference.max_abs > before || group.worst.empty()) group.worst = name;
  ++group.tensors;
}

void TensorComparison::choices(const std::string& name, const TensorInfo& stored, const Observed& found, Group& group) {
  std::vector<double> values = golden_values(stored);
  if (stored.shape.size() != 2 || stored.shape[0] != found.rows || stored.dtype == DType::kF32) {
    problems_.push_back(fmt::format("{} is stored as {} {}, expected ids of {} rows", name, dtype_name(stored.dtype),
                                    shape_text(stored.shape), found.rows));
    return;
  }
  int64_t cols = stored.shape[1];
  for (int64_t r = 0; r < found.rows; ++r) {
    ++group.rows;
    if (ids_of(values.data() + r * cols, cols) == ids_of(found.values.data() + r * found.cols, found.cols)) continue;
    same_[static_cast<size_t>(r)] = false;
    if (group.other++ == 0) group.first_other = fmt::format("row {} of {}", r, name);
  }
  any_choices_ = true;
  ++group.tensors;
}

void TensorComparison::same_route_rows(const TensorInfo& stored, const Observed& found) {
  std::vector<double> values = golden_values(stored);
  if (values.size() != found.values.size()) return;  // said already
  for (int64_t r = 0; r < found.rows; ++r) {
    ++rows_;
    if (!same_[static_cast<size_t>(r)]) continue;
    ++same_rows_;
    for (int64_t c = 0; c < found.cols; ++c) {
      auto i = static_cast<size_t>(r * found.cols + c);
      same_routes_.add(found.values[i], values[i]);
    }
  }
}

// What the model shows and the golden stores elsewhere, of other layers or sequences, has to be stored here too.
void TensorComparison::incomplete(const GoldenSequence& sequence, const WholePass& pass) {
  std::set<std::string_view> stored;
  for (const auto& [name, info] : golden_.tensors()) {
    size_t dot = name.find('.');
    const Kind* kind = dot == std::string::npos ? nullptr : kind_of(name.substr(dot + 1));
    if (kind != nullptr) stored.insert(kind->name);
  }
  stored.insert("logits");
  for (const auto& [key, found] : pass.seen) {
    const Kind* kind = kind_of(key);
    std::string name = sequence.name + "." + key;
    if (kind == nullptr || stored.count(kind->name) == 0 || golden_.find(name) != nullptr) continue;
    problems_.push_back(fmt::format("the golden lacks {}", name));
  }
}

void TensorComparison::sequence(const GoldenSequence& sequence, const WholePass& pass) {
  same_.assign(sequence.ids.size(), true);
  std::string prefix = sequence.name + ".";
  for (const auto& [name, info] : golden_.tensors()) {
    if (!name.starts_with(prefix)) continue;
    std::string key = name.substr(prefix.size());
    const Kind* kind = kind_of(key);
    auto found = pass.seen.find(key);
    if (kind == nullptr) {
      problems_.push_back(fmt::format("{} is a kind of tensor that is not known", name));
    } else if (found == pass.seen.end()) {
      problems_.push_back(fmt::format("the model has no {}", name));
    } else {
      Group& group = groups_[std::string(kind->check)];
      kind->choice ? choices(name, info, found->second, group) : numbers(name, info, found->second, group);
    }
  }
  incomplete(sequence, pass);
  const TensorInfo* logits = golden_.find(prefix + "logits");
  if (logits != nullptr) same_route_rows(*logits, pass.seen.at("logits"));
}

std::string TensorComparison::likely_mistake(double max_abs, bool mtp) const {
  if (!golden_.has("switch_effects") || !golden_.json()["switch_effects"].is_object()) return "";
  constexpr double kNear = 0.02;
  for (const auto& [name, effect] : golden_.json()["switch_effects"].items()) {
    if (name.starts_with("mtp_") != mtp || !effect.is_number()) continue;
    if (std::fabs(max_abs - effect.get<double>()) <= kNear * effect.get<double>()) {
      return fmt::format(", much as '{}' has it", name);
    }
  }
  return "";
}

void TensorComparison::judge_f32(Checks& checks) const {
  for (const Kind& kind : kKinds) {
    auto it = groups_.find(std::string(kind.check));
    if (it == groups_.end()) continue;
    const Group& group = it->second;
    const Difference& d = group.difference;
    std::string problem;
    if (kind.choice) {
      if (group.other > 0) {
        problem =
            fmt::format("{} of {} {} are others, first {}", group.other, group.rows, kind.check, group.first_other);
      }
      checks.judge(std::string(kind.check), problem, {{"rows", group.rows}, {"other", group.other}});
      continue;
    }
    if (!(d.max_abs <= kind.bound)) {
      bool logits = kind.name.ends_with("logits");
      problem = fmt::format("{} differs by {:.2g}, allowed {:.2g}{}", group.worst, d.max_abs, kind.bound,
                            logits ? likely_mistake(d.max_abs, kind.name != "logits") : "");
    }
    checks.judge(std::string(kind.check), problem,
                 {{"max_abs", json_number(d.max_abs)}, {"bound", kind.bound}, {"tensors", group.tensors}});
  }
}

void TensorComparison::judge_other(Checks& checks, bool gguf) const {
  for (const Kind& kind : kKinds) {
    auto it = groups_.find(std::string(kind.check));
    if (it == groups_.end() || kind.name == "logits") continue;
    const Group& group = it->second;
    Json shown = kind.choice ? Json{{"rows", group.rows}, {"other", group.other}}
                             : Json{{"max_abs", json_number(group.difference.max_abs)},
                                    {"rel_rms", json_number(group.difference.rel_rms())}};
    checks.report(std::string(kind.check), shown);
  }
  auto logits = groups_.find("logits");
  if (logits == groups_.end()) return;
  const Difference& d = logits->second.difference;
  // Twice what honest rounding did to the reference itself; for quantised files also twice what another engine that
  // rounds activations is off.
  double bound = 2 * golden_.number({"noise", "logits_bf16_vs_f32", "rel_rms"});
  if (gguf) bound = std::fmax(bound, 2 * golden_.number({"reference", "llama_cpp_on_this_file", "rel_rms"}));
  Json shown = {
      {"max_abs", json_number(d.max_abs)}, {"rel_rms", json_number(d.rel_rms())}, {"bound", json_number(bound)}};
  if (std::isnan(bound)) {
    checks.report("logits", shown);
  } else {
    checks.judge("logits",
                 d.rel_rms() <= bound ? "" : fmt::format("logits: rel_rms {:.3g}, allowed {:.3g}", d.rel_rms(), bound),
                 shown);
  }
  double rms = 2 * golden_.number({"noise", "logits_bf16_vs_f32_same_routes", "rel_rms"});
  double abs = 2 * golden_.number({"noise", "logits_bf16_vs_f32_same_routes", "max_abs"});
  if (!any_choices_) return;
  shown = {{"rows", rows_},
           {"same", same_rows_},
           {"max_abs", json_number(same_routes_.max_abs)},
           {"rel_rms", json_number(same_routes_.rel_rms())},
           {"bound_max_abs", json_number(abs)},
           {"bound_rel_rms", json_number(rms)}};
  if (std::isnan(rms) || std::isnan(abs)) {
    checks.report("same_routes", shown);
    return;
  }
  bool ok = same_routes_.max_abs <= abs && same_routes_.rel_rms() <= rms;
  checks.judge(
      "same_routes",
      ok ? ""
         : fmt::format("logits of the {} rows with the stored choices: max_abs {:.3g}, allowed {:.3g}; rel_rms "
                       "{:.3g}, allowed {:.3g}",
                       same_rows_, same_routes_.max_abs, abs, same_routes_.rel_rms(), rms),
      shown);
}

void TensorComparison::finish(Checks& checks, bool gguf) {
  int64_t tensors = 0;
  for (const auto& [check, group] : groups_) tensors += group.tensors;
  std::string problem;
  if (!problems_.empty()) {
    constexpr size_t kShown = 3;
    size_t shown = std::min(kShown, problems_.size());
    problem =
        fmt::format("{}", fmt::join(problems_.begin(), problems_.begin() + static_cast<std::ptrdiff_t>(shown), "; "));
    if (shown < problems_.size()) problem += fmt::format("; and {} more", problems_.size() - shown);
  }
  checks.judge("tensors", problem, {{"compared", tensors}});
  auto logits = groups_.find("logits");
  if (logits != groups_.end()) {
    const Difference& d = logits->second.difference;
    checks.compared(d);
    checks.note(fmt::format("{} tensors, logits within {:.2g}, rel_rms {:.2g}", tensors, d.max_abs, d.rel_rms()));
  }
  numerics_ == Numerics::kF32 ? judge_f32(checks) : judge_other(checks, gguf);
}

}  // namespace unha
