// SPDX-License-Identifier: Apache-2.0
#include "text/normalizer.h"

#include "base/error.h"
#include "text/utf8.h"

namespace unha {

namespace {
constexpr size_t kMaxNormalizers = 64;
}

Normalizer::Normalizer(const Json& json, const std::string& what) {
  if (!json.is_null()) add(json, what);
}

void Normalizer::add(const Json& json, const std::string& what) {
  JsonReader reader(json, what);
  auto type = reader.require<std::string>("type");
  if (type == "Sequence") {
    const Json& list = reader.at("normalizers");
    if (!list.is_array()) throw_error(ErrorCode::kInvalidArgument, "{}: \"normalizers\" must be a list", what);
    for (const Json& item : list) add(item, what);
  } else if (type == "NFC") {
    steps_.push_back(Step::kNfc);
  } else if (type == "NFD") {
    steps_.push_back(Step::kNfd);
  } else if (type == "NFKC") {
    steps_.push_back(Step::kNfkc);
  } else if (type == "NFKD") {
    steps_.push_back(Step::kNfkd);
  } else if (type == "Lowercase") {
    steps_.push_back(Step::kLowercase);
  } else {
    throw_error(ErrorCode::kUnsupported,
                "{}: normalizer \"{}\" is not supported (supported: Sequence, NFC, NFD, NFKC, NFKD, Lowercase)", what,
                type);
  }
  reader.finish();
  if (steps_.size() > kMaxNormalizers) throw_error(ErrorCode::kUnsupported, "{}: more than {} normalizers", what, kMaxNormalizers);
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (Step step : steps_) {
    switch (step) {
      case Step::kNfc:
        out = normalize_utf8(out, NormalForm::kNfc);
        break;
      case Step::kNfd:
        out = normalize_utf8(out, NormalForm::kNfd);
        break;
      case Step::kNfkc:
        out = normalize_utf8(out, NormalForm::kNfkc);
        break;
      case Step::kNfkd:
        out = normalize_utf8(out, NormalForm::kNfkd);
        break;
      case Step::kLowercase:
        out = lowercase_utf8(out);
        break;
    }
  }
  return out;
}

}  // namespace unha
