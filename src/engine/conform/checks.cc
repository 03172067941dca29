// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace unha {

namespace {
constexpr size_t kProblemsShown = 4;

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}
}  // namespace

Json json_number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

void Checks::add(const std::string& name, bool judged, bool ok, Json numbers) {
  Json entry = {{"ok", ok}, {"judged", judged}};
  entry.update(numbers);
  json_[name] = std::move(entry);
}

void Checks::judge(const std::string& name, const std::string& problem, Json numbers) {
  ++judged_;
  add(name, true, problem.empty(), std::move(numbers));
  if (!problem.empty()) problems_.push_back(problem);
}

void Checks::report(const std::string& name, Json numbers) { add(name, false, true, std::move(numbers)); }

CaseResult Checks::result() const {
  CaseResult result;
  result.checks = json_;
  if (all_) {
    result.max_abs = all_->max_abs;
    result.rel_rms = all_->rel_rms();
  }
  if (!problems_.empty()) {
    std::vector<std::string> shown(problems_.begin(),
                                   problems_.begin() + std::min<std::ptrdiff_t>(kProblemsShown, std::ssize(problems_)));
    if (problems_.size() > kProblemsShown) shown.push_back(fmt::format("{} more", problems_.size() - kProblemsShown));
    result.status = CaseStatus::kFail;
    result.reason = one_line(fmt::format("{}", fmt::join(shown, "; ")));
  } else if (skip_) {
    result.status = CaseStatus::kSkip;
    result.reason = one_line(*skip_);
  } else if (judged_ == 0) {
    result.status = CaseStatus::kFail;
    result.reason = "the case holds nothing to check";
  } else {
    result.status = CaseStatus::kPass;
    result.reason = one_line(fmt::format("{}", fmt::join(notes_, "; ")));
  }
  return result;
}

}  // namespace unha
