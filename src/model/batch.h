// SPDX-License-Identifier: Apache-2.0
// The tokens of one call: a flat list, cut into segments (ops/segment.h), with one cache per segment or none at all.
#pragma once

#include <span>

#include "model/sequence_cache.h"
#include "ops/ctx.h"
#include "ops/segment.h"

namespace unha {

namespace ops {
struct Routing;
}

// Sees each routing as it is decided: training takes loads and the balance loss from here.
class RouteSink {
 public:
  virtual ~RouteSink() = default;
  virtual void routed(Ctx& ctx, int layer, const ops::Routing& routing, std::span<const Segment> segments) = 0;
};

struct Batch {
  std::span<const int32_t> ids;  // [N]
  std::span<const Segment> segments;
  std::span<SequenceCache* const> caches;  // one per segment; empty: training, everything starts at position 0
  RouteSink* routes = nullptr;

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
};

}  // namespace unha
