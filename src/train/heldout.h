// SPDX-License-Identifier: Apache-2.0
// Bits per byte of held-out text while training, by the same forward: <bos>, windows of the training length with a
// stride of half, every token scored once.
#pragma once

#include <string>
#include <vector>

#include "model/model.h"
#include "text/tokenizer.h"

namespace unha {

struct HeldoutText {
  std::string path;
  std::string sha256;
  int64_t bytes = 0;
  std::vector<int32_t> ids;  // starts with <bos>
};

// At most `limit` bytes of a file, cut between characters; 0: all of it. Error(kInvalidArgument) if it is empty.
HeldoutText read_heldout(const std::string& path, int64_t limit, const Tokenizer& tokenizer, int32_t bos);

double heldout_bpb(Ctx& ctx, Model& model, const HeldoutText& text, int64_t window);

}  // namespace unha
