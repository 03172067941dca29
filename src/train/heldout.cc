// SPDX-License-Identifier: Apache-2.0
#include "train/heldout.h"

#include <algorithm>

#include "base/error.h"
#include "io/file.h"
#include "ops/head_loss.h"

namespace unha {

namespace {
constexpr int64_t kTokensAtOnce = 8192;
constexpr double kLn2 = 0.69314718055994530942;
}  // namespace

HeldoutText read_heldout(const std::string& path, int64_t limit, const Tokenizer& tokenizer, int32_t bos) {
  std::string text = read_file(path);
  if (text.empty()) throw_error(ErrorCode::kInvalidArgument, "{}: the held-out file is empty", path);
  if (limit > 0 && static_cast<int64_t>(text.size()) > limit) {
    auto end = static_cast<size_t>(limit);
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u) --end;
    text.resize(end);
  }
  HeldoutText out{path, Sha256::of(text), static_cast<int64_t>(text.size()), {bos}};
  std::vector<int32_t> ids = tokenizer.encode(text, {.parse_added = false, .add_special = false});
  out.ids.insert(out.ids.end(), ids.begin(), ids.end());
  return out;
}

double heldout_bpb(Ctx& ctx, Model& model, const HeldoutText& text, int64_t window) {
  auto n = static_cast<int64_t>(text.ids.size());
  int64_t stride = std::max<int64_t>(window / 2, 1);
  std::vector<int32_t> ids, targets;
  std::vector<Segment> segments;
  double nll = 0;
  auto flush = [&] {
    if (segments.empty()) return;
    ctx.arena.rewind();
    Batch batch{ids, segments, {}, nullptr};
    Tensor h = model.final_norm(ctx, model.trunk(ctx, batch));
    nll += ops::sum_rows(ctx, ops::head_loss(ctx, h, model.head(), targets, {}).nll);
    ids.clear();
    targets.clear();
    segments.clear();
  };
  int64_t scored = 1;  // tokens scored so far, <bos> counted
  for (int64_t begin = 0; scored < n; begin += stride) {
    int64_t len = std::min(window, n - begin);
    segments.push_back({static_cast<int64_t>(ids.size()), len, 0});
    for (int64_t i = begin; i < begin + len; ++i) {
      ids.push_back(text.ids[static_cast<size_t>(i)]);
      bool wanted = i + 1 < n && i + 1 >= scored && i + 1 <= begin + len;
      targets.push_back(wanted ? text.ids[static_cast<size_t>(i) + 1] : -1);
    }
    scored = std::max(scored, std::min(n, begin + len + 1));
    if (static_cast<int64_t>(ids.size()) + window > kTokensAtOnce) flush();
  }
  flush();
  return nll / kLn2 / static_cast<double>(text.bytes);
}

}  // namespace unha
