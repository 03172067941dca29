// SPDX-License-Identifier: Apache-2.0
#include "ops/rope.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/exact_math.h"

namespace unha {

namespace {

constexpr double kPi = 3.14159265358979323846;

// The pair whose wave turns `turns` times within the original context.
double yarn_pair(const RopeConfig& config, double turns) {
  double waves = config.yarn->original_max_position_embeddings / (2 * kPi * turns);
  return static_cast<double>(config.dim) * exact::log(waves) / (2 * exact::log(config.theta));
}

double llama3_frequency(const Llama3Rope& s, double f) {
  double waves = s.original_max_position_embeddings * f / (2 * kPi);  // in the original context
  if (waves > s.high_freq_factor) return f;
  if (waves < s.low_freq_factor) return f / s.factor;
  double t = (waves - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - t) * f / s.factor + t * f;
}

}  // namespace

double yarn_magnitude(double factor, double x) { return factor <= 1 ? 1 : 0.1 * x * exact::log(factor) + 1; }

std::vector<double> rope_frequencies(const RopeConfig& config) {
  UNHA_CHECK(config.dim > 0 && config.dim % 2 == 0, "rope: dim {} is not even", config.dim);
  int64_t pairs = config.dim / 2;
  UNHA_CHECK(config.divisors.empty() || static_cast<int64_t>(config.divisors.size()) == pairs,
             "rope: {} divisors of {} frequencies", config.divisors.size(), pairs);
  std::vector<double> frequencies(static_cast<size_t>(pairs));
  double low = 0, high = 0;
  if (config.yarn) {
    low = std::max(std::floor(yarn_pair(config, config.yarn->beta_fast)), 0.0);
    high = std::min(std::ceil(yarn_pair(config, config.yarn->beta_slow)), static_cast<double>(config.dim - 1));
    if (low == high) high += 0.001;
  }
  for (int64_t i = 0; i < pairs; ++i) {
    double f = exact::pow(config.theta, -2.0 * static_cast<double>(i) / static_cast<double>(config.dim));
    if (config.yarn) {
      double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
      f = f / config.yarn->factor * ramp + f * (1 - ramp);
    }
    if (config.llama3) f = llama3_frequency(*config.llama3, f);
    if (!config.divisors.empty()) f = f / config.divisors[static_cast<size_t>(i)];
    frequencies[static_cast<size_t>(i)] = f;
  }
  return frequencies;
}

double rope_amplitude(const RopeConfig& config) {
  if (!config.yarn) return 1;
  const Yarn& yarn = *config.yarn;
  if (yarn.attention_factor) return *yarn.attention_factor;
  double m = yarn_magnitude(yarn.factor, yarn.mscale);
  return yarn.mscale_all_dim == 0 ? m : m / yarn_magnitude(yarn.factor, yarn.mscale_all_dim);
}

double softmax_scale(int64_t head_dim, const std::optional<Yarn>& yarn) {
  double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  if (!yarn || yarn->mscale_all_dim == 0) return scale;
  double m = yarn_magnitude(yarn->factor, yarn->mscale_all_dim);
  return scale * m * m;
}

RopeTable::RopeTable(const RopeConfig& config, int64_t positions)
    : config_(config), frequencies_(rope_frequencies(config)), amplitude_(rope_amplitude(config)) {
  grow(positions);
}

void RopeTable::grow(int64_t n) {
  if (n <= positions_) return;
  auto pairs = static_cast<size_t>(config_.dim / 2);
  auto rows = static_cast<size_t>(n);
  f32_.resize(rows * pairs * 2);
  f64_.resize(rows * pairs * 2);
  for (auto p = static_cast<size_t>(positions_); p < rows; ++p) {
    for (size_t i = 0; i < pairs; ++i) {
      double angle = static_cast<double>(p) * frequencies_[i];
      double* row = f64_.data() + p * pairs * 2;
      row[i] = exact::cos(angle) * amplitude_;
      row[pairs + i] = exact::sin(angle) * amplitude_;
      f32_[p * pairs * 2 + i] = static_cast<float>(row[i]);
      f32_[p * pairs * 2 + pairs + i] = static_cast<float>(row[pairs + i]);
    }
  }
  positions_ = n;
}

namespace ops {

namespace {

constexpr int64_t kRowGrain = 64;

struct RopeShape {
  int64_t heads, head_stride, offset;
};

template <class R>
void turn(const R* x, const R* c, const R* s, int64_t dim, Pairing pairing, R* y) {
  int64_t pairs = dim / 2;
  int64_t step = pairing == Pairing::kAdjacent ? 2 : 1;
  int64_t other = pairing == Pairing::kAdjacent ? 1 : pairs;
  for (int64_t i = 0; i < pairs; ++i) {
    R a = x[i * step], b = x[i * step + other];
    y[i * step] = a * c[i] - b * s[i];
    y[i * step + other] = a * s[i] + b * c[i];
  }
}

// Adds the inverse turn of d_y to d_x. The amplitude is part of c and s, so this is the transposed matrix.
template <class R>
void turn_back(const R* d_y, const R* c, const R* s, int64_t dim, Pairing pairing, R* d_x) {
  int64_t pairs = dim / 2;
  int64_t step = pairing == Pairing::kAdjacent ? 2 : 1;
  int64_t other = pairing == Pairing::kAdjacent ? 1 : pairs;
  for (int64_t i = 0; i < pairs; ++i) {
    R a = d_y[i * step], b = d_y[i * step + other];
    d_x[i * step] = d_x[i * step] + (a * c[i] + b * s[i]);
    d_x[i * step + other] = d_x[i * step + other] + (b * c[i] - a * s[i]);
  }
}

template <class R>
void rope_rows(Ctx& ctx, const Tensor& x, const Tensor& y, const RopeShape& shape, const Segment& segment,
               const RopeTable& table) {
  ctx.threads.parallel_for(segment.len, kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const R* from = x.row<R>(segment.begin + i);
      R* to = y.row<R>(segment.begin + i);
      const R* c = table.cos<R>(segment.pos0 + i);
      const R* s = table.sin<R>(segment.pos0 + i);
      if (shape.heads * table.dim() < x.cols()) std::memcpy(to, from, static_cast<size_t>(x.cols()) * sizeof(R));
      for (int64_t h = 0; h < shape.heads; ++h) {
        int64_t at = h * shape.head_stride + shape.offset;
        turn(from + at, c, s, table.dim(), table.config().pairing, to + at);
      }
    }
  });
}

template <class R>
void rope_rows_back(Ctx& ctx, const Tensor& d_y, const Tensor& d_x, const RopeShape& shape, const Segment& segment,
                    const RopeTable& table) {
  ctx.threads.parallel_for(segment.len, kRowGrain, [&](int64_t begin, int64_t end) {
    auto add = [](const R* from, R* to, int64_t n) {
      for (int64_t j = 0; j < n; ++j) to[j] = to[j] + from[j];
    };
    for (int64_t i = begin; i < end; ++i) {
      const R* from = d_y.row<R>(segment.begin + i);
      R* to = d_x.row<R>(segment.begin + i);
      const R* c = table.cos<R>(segment.pos0 + i);
      const R* s = table.sin<R>(segment.pos0 + i);
      int64_t done = 0;
      for (int64_t h = 0; h < shape.heads; ++h) {
        int64_t at = h * shape.head_stride + shape.offset;
        add(from + done, to + done, at - done);
        turn_back(from + at, c, s, table.dim(), table.config().pairing, to + at);
        done = at + table.dim();
      }
      add(from + done, to + done, d_y.cols() - done);
    }
  });
}

}  // namespace

Tensor rope(Ctx& ctx, Tensor x, int64_t heads, int64_t head_stride, int64_t offset, std::span<const Segment> segments,
            const RopeTable& table) {
  UNHA_CHECK(heads > 0 && offset >= 0 && (heads == 1 || head_stride >= table.dim()) &&
                 (heads - 1) * head_stride + offset + table.dim() <= x.cols(),
             "rope: {} heads of stride {}, {} columns from {}, against x [.., {}]", heads, head_stride, table.dim(),
             offset, x.cols());
  for (const Segment& segment : segments) {
    UNHA_CHECK(segment.pos0 + segment.len <= table.positions(), "rope: position {} of a table of {}",
               segment.pos0 + segment.len - 1, table.positions());
  }
  RopeShape shape{heads, head_stride, offset};
  Tensor y = ctx.make(x.rows(), x.cols());
  ctx.with_real([&](auto real) {
    for (const Segment& segment : segments) rope_rows<decltype(real)>(ctx, x, y, shape, segment, table);
  });
  if (ctx.tape != nullptr && x.slot() != nullptr) {
    auto* kept = ctx.arena.allocate<Segment>(static_cast<int64_t>(segments.size()));
    std::copy(segments.begin(), segments.end(), kept);
    ctx.tape->record("rope", [=, &table, n = segments.size(), c = ctx]() mutable {
      if (!c.tape->has_grad(y)) return;
      Tensor d_y = c.tape->grad(y), d_x = c.tape->grad(x);
      c.with_real([&](auto real) {
        for (const Segment& segment : std::span(kept, n)) {
          rope_rows_back<decltype(real)>(c, d_y, d_x, shape, segment, table);
        }
      });
    });
  }
  return y;
}

}  // namespace ops
}  // namespace unha
