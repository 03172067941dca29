// SPDX-License-Identifier: Apache-2.0
// The product kernels of the vector tiers. A tile of R rows and C registers of columns stays in registers while k
// runs; every output is one chain in order of k, so the shape of the tile never shows in a result.
//
// Both classes see 32-bit words: one float, or a pair of bf16. Rows of A are words, broadcast one by one; a panel of B
// has kPanel words for each word of k. Included inside a tier's namespace.

#if UNHA_TIER_LANES == 16
using Reg = __m512;
static inline Reg reg_zero() { return _mm512_setzero_ps(); }
static inline Reg reg_load(const void* p) { return _mm512_loadu_ps(p); }
static inline void reg_store(float* p, Reg a) { _mm512_storeu_ps(p, a); }
static inline Reg reg_add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
static inline Reg reg_fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
static inline Reg reg_set(float x) { return _mm512_set1_ps(x); }
static inline Reg reg_even(Reg a) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 16)); }
static inline Reg reg_odd(Reg a) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}
#else
using Reg = __m256;
static inline Reg reg_zero() { return _mm256_setzero_ps(); }
static inline Reg reg_load(const void* p) { return _mm256_loadu_ps(static_cast<const float*>(p)); }
static inline void reg_store(float* p, Reg a) { _mm256_storeu_ps(p, a); }
static inline Reg reg_add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
static inline Reg reg_fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
static inline Reg reg_set(float x) { return _mm256_set1_ps(x); }
static inline Reg reg_even(Reg a) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 16)); }
static inline Reg reg_odd(Reg a) {
  return _mm256_castsi256_ps(
      _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}
#endif

static constexpr int kLanes = UNHA_TIER_LANES;
static constexpr int kPanelRegs = static_cast<int>(kPanel) / kLanes;

static inline Reg reg_broadcast(const char* p) {
  float word;
  __builtin_memcpy(&word, p, 4);
  return reg_set(word);
}

// What one word of k does to an accumulator. kAccumulators: how many fit beside the operands.
struct FmaStep {
  static constexpr int kAccumulators = UNHA_TIER_LANES == 16 ? 24 : 12;
  struct Operand {
    Reg x;
  };
  static inline Operand open(Reg word) { return {word}; }
  static inline Reg apply(Operand a, Operand b, Reg c) { return reg_fma(a.x, b.x, c); }
};
#ifdef UNHA_TIER_BF16_DOT
struct PairStep {
  static constexpr int kAccumulators = 24;
  struct Operand {
    Reg x;
  };
  static inline Operand open(Reg word) { return {word}; }
  static inline Reg apply(Operand a, Operand b, Reg c) {
    return _mm512_dpbf16_ps(c, (__m512bh)_mm512_castps_si512(a.x), (__m512bh)_mm512_castps_si512(b.x));
  }
};
#else
struct PairStep {
  static constexpr int kAccumulators = UNHA_TIER_LANES == 16 ? 24 : 8;
  struct Operand {
    Reg odd, even;
  };
  static inline Operand open(Reg word) { return {reg_odd(word), reg_even(word)}; }
  static inline Reg apply(Operand a, Operand b, Reg c) { return reg_fma(a.even, b.even, reg_fma(a.odd, b.odd, c)); }
};
#endif

// One tile. a_stride, panel_stride: bytes between rows of A, panels of B; the first column starts a register of B.
template <class Step, int R, int C>
static void tile(const char* a, int64_t a_stride, const char* b, int64_t panel_stride, int64_t words, float* c,
                 int64_t ldc, Accumulate mode) {
  Reg acc[R][C];
  for (int r = 0; r < R; ++r) {
    for (int j = 0; j < C; ++j) {
      __builtin_prefetch(c + r * ldc + j * kLanes, 1);  // it is written, or added to, when k is through
      acc[r][j] = mode == Accumulate::kContinue ? reg_load(c + r * ldc + j * kLanes) : reg_zero();
    }
  }
  for (int64_t k = 0; k < words; ++k) {
    typename Step::Operand column[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) {
      column[j] = Step::open(reg_load(b + j / kPanelRegs * panel_stride + j % kPanelRegs * kLanes * 4));
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      typename Step::Operand row = Step::open(reg_broadcast(a + r * a_stride));
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) acc[r][j] = Step::apply(row, column[j], acc[r][j]);
    }
    a += 4;
    b += kPanel * 4;
  }
  for (int r = 0; r < R; ++r) {
    for (int j = 0; j < C; ++j) {
      float* out = c + r * ldc + j * kLanes;
      reg_store(out, mode == Accumulate::kAdd ? reg_add(reg_load(out), acc[r][j]) : acc[r][j]);
    }
  }
}

using TileFunction = void (*)(const char*, int64_t, const char*, int64_t, int64_t, float*, int64_t, Accumulate);

// The tile of R rows and 2, 4 or 8 registers (index 0, 1, 2), as wide as the accumulators allow.
template <class Step, int R, int C>
static constexpr TileFunction tile_or_null() {
  if constexpr (R * C <= Step::kAccumulators) {
    return tile<Step, R, C>;
  } else {
    return nullptr;
  }
}
struct TileRow {
  TileFunction by_width[3];
};
template <class Step, int R>
static constexpr TileRow tile_row() {
  return {{tile_or_null<Step, R, 2>(), tile_or_null<Step, R, 4>(), tile_or_null<Step, R, 8>()}};
}
template <class Step>
static const TileRow& tiles_of(int64_t rows) {
  static constexpr TileRow kTiles[12] = {tile_row<Step, 1>(),  tile_row<Step, 2>(),  tile_row<Step, 3>(),
                                         tile_row<Step, 4>(),  tile_row<Step, 5>(),  tile_row<Step, 6>(),
                                         tile_row<Step, 7>(),  tile_row<Step, 8>(),  tile_row<Step, 9>(),
                                         tile_row<Step, 10>(), tile_row<Step, 11>(), tile_row<Step, 12>()};
  return kTiles[rows - 1];
}

// A tile whose last columns lie beyond N: through a buffer of whole registers.
static void edge_tile(TileFunction run, int64_t rows, int64_t columns, const char* a, int64_t a_stride, const char* b,
                      int64_t panel_stride, int64_t words, float* c, int64_t ldc, Accumulate mode) {
  constexpr int64_t kWidth = 2 * kLanes;
  float buffer[12 * kWidth] = {};
  for (int64_t r = 0; r < rows && mode != Accumulate::kSet; ++r) {
    __builtin_memcpy(buffer + r * kWidth, c + r * ldc, static_cast<size_t>(columns) * 4);
  }
  run(a, a_stride, b, panel_stride, words, buffer, kWidth, mode);
  for (int64_t r = 0; r < rows; ++r) {
    __builtin_memcpy(c + r * ldc, buffer + r * kWidth, static_cast<size_t>(columns) * 4);
  }
}

// Rows are cut into tiles of nearly equal height, columns into groups of registers; a group of B stays in L1 while
// the rows of A pass by. Few rows get wide groups: enough independent chains to hide the latency.
template <class Step>
static void multiply_words(const char* a, int64_t a_stride, const char* b, int64_t M, int64_t N, int64_t words,
                           float* c, int64_t ldc, Accumulate mode) {
  if (M <= 0) return;
  constexpr int64_t kRows = Step::kAccumulators / 2;
  int64_t tiles = (M + kRows - 1) / kRows;
  int64_t height = M / tiles, taller = M % tiles;  // the first `taller` tiles have one row more
  int64_t highest = taller > 0 ? height + 1 : height;
  int widest = highest * 8 <= Step::kAccumulators ? 2 : highest * 4 <= Step::kAccumulators ? 1 : 0;
  int64_t panel_stride = words * kPanel * 4;
  for (int64_t n = 0; n < N;) {
    int width = widest;
    while (width > 0 && n + (2 << width) * kLanes > N) --width;
    int64_t columns = (2 << width) * kLanes;
    const char* group = b + n / kPanel * panel_stride + n % kPanel * 4;
    for (int64_t t = 0, m = 0; t < tiles; ++t) {
      int64_t rows = t < taller ? height + 1 : height;
      TileFunction run = tiles_of<Step>(rows).by_width[width];
      if (n + columns <= N) {
        run(a + m * a_stride, a_stride, group, panel_stride, words, c + m * ldc + n, ldc, mode);
      } else {
        edge_tile(run, rows, N - n, a + m * a_stride, a_stride, group, panel_stride, words, c + m * ldc + n, ldc, mode);
      }
      m += rows;
    }
    n += columns;
  }
}

static void multiply_f32(const void* a, int64_t lda, const void* b, int64_t M, int64_t N, int64_t K, float* c,
                         int64_t ldc, Accumulate mode) {
  multiply_words<FmaStep>(static_cast<const char*>(a), lda * 4, static_cast<const char*>(b), M, N, K, c, ldc, mode);
}
static void multiply_pairs(const void* a, int64_t lda, const void* b, int64_t M, int64_t N, int64_t K, float* c,
                           int64_t ldc, Accumulate mode) {
  multiply_words<PairStep>(static_cast<const char*>(a), lda * 2, static_cast<const char*>(b), M, N, (K + 1) / 2, c, ldc,
                           mode);
}
