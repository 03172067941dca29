// SPDX-License-Identifier: Apache-2.0
// Packing of operands for gemm_tile.inl. A register of words comes either from kLanes columns of the k values of one
// word (`across`), or from one column along k (`along`); a square of words is transposed where the source runs the
// other way than the packed form. What does not fill a square goes element by element. Included inside a tier's
// namespace, after gemm_tile.inl.

#if UNHA_TIER_LANES == 16
using Words = __m512i;
static inline void words_store(void* p, Words w) { _mm512_storeu_si512(p, w); }

static inline Words lane_numbers() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

static inline void transpose(Words* w) {
  Words t[16];
  for (int i = 0; i < 16; i += 4) {
    Words a = _mm512_unpacklo_epi32(w[i], w[i + 1]), b = _mm512_unpackhi_epi32(w[i], w[i + 1]);
    Words c = _mm512_unpacklo_epi32(w[i + 2], w[i + 3]), d = _mm512_unpackhi_epi32(w[i + 2], w[i + 3]);
    t[i] = _mm512_unpacklo_epi64(a, c);
    t[i + 1] = _mm512_unpackhi_epi64(a, c);
    t[i + 2] = _mm512_unpacklo_epi64(b, d);
    t[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  for (int i = 0; i < 4; ++i) {  // t[4 g + i] holds, of rows 4 g .. 4 g + 3, columns i, 4 + i, 8 + i, 12 + i
    Words a = _mm512_shuffle_i32x4(t[i], t[4 + i], 0x88), b = _mm512_shuffle_i32x4(t[i], t[4 + i], 0xdd);
    Words c = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0x88), d = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0xdd);
    w[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    w[8 + i] = _mm512_shuffle_i32x4(a, c, 0xdd);
    w[4 + i] = _mm512_shuffle_i32x4(b, d, 0x88);
    w[12 + i] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
}

static inline Words bits_of(const float* p) { return _mm512_loadu_si512(p); }
static inline Words widened(const uint16_t* p) {
  return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16);
}
#ifdef UNHA_TIER_BF16_DOT
static inline Words pairs_across(const float* even, const float* odd) {
  const Words interleave = _mm512_add_epi32(_mm512_set1_epi32(16 << 16),
                                            _mm512_or_si512(lane_numbers(), _mm512_slli_epi32(lane_numbers(), 16)));
  return _mm512_permutexvar_epi16(interleave, (__m512i)_mm512_cvtne2ps_pbh(load(odd), load(even)));
}
static inline Words pairs_along(const float* p) { return (__m512i)_mm512_cvtne2ps_pbh(load(p + 16), load(p)); }
#else
static inline Words pairs_across(const float* even, const float* odd) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(round16(load(even))),
                         _mm512_slli_epi32(_mm512_cvtepu16_epi32(round16(load(odd))), 16));
}
static inline Words pairs_along(const float* p) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(round16(load(p))), round16(load(p + 16)), 1);
}
#endif
static inline Words pairs_across(const uint16_t* even, const uint16_t* odd) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(even))),
                         widened(odd));
}
static inline Words pairs_along(const uint16_t* p) { return _mm512_loadu_si512(p); }
#else
using Words = __m256i;
static inline void words_store(void* p, Words w) { _mm256_storeu_si256(static_cast<__m256i*>(p), w); }

static inline void transpose(Words* w) {
  Words t[8];
  for (int i = 0; i < 8; i += 4) {
    Words a = _mm256_unpacklo_epi32(w[i], w[i + 1]), b = _mm256_unpackhi_epi32(w[i], w[i + 1]);
    Words c = _mm256_unpacklo_epi32(w[i + 2], w[i + 3]), d = _mm256_unpackhi_epi32(w[i + 2], w[i + 3]);
    t[i] = _mm256_unpacklo_epi64(a, c);
    t[i + 1] = _mm256_unpackhi_epi64(a, c);
    t[i + 2] = _mm256_unpacklo_epi64(b, d);
    t[i + 3] = _mm256_unpackhi_epi64(b, d);
  }
  for (int i = 0; i < 4; ++i) {
    w[i] = _mm256_permute2x128_si256(t[i], t[4 + i], 0x20);
    w[4 + i] = _mm256_permute2x128_si256(t[i], t[4 + i], 0x31);
  }
}

static inline Words bits_of(const float* p) { return _mm256_castps_si256(_mm256_loadu_ps(p)); }
static inline Words low_halves(const uint16_t* p) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
static inline Words widened(const uint16_t* p) { return _mm256_slli_epi32(low_halves(p), 16); }
static inline Words pairs_across(const float* even, const float* odd) {
  return _mm256_or_si256(round8(_mm256_loadu_ps(even)), _mm256_slli_epi32(round8(_mm256_loadu_ps(odd)), 16));
}
static inline Words pairs_across(const uint16_t* even, const uint16_t* odd) {
  return _mm256_or_si256(low_halves(even), widened(odd));
}
static inline Words pairs_along(const float* p) { return round16(load(p)); }
static inline Words pairs_along(const uint16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
#endif

// Class f32: a word is one float.
struct FloatWords {
  static constexpr int64_t kUnit = 1;
  using Element = float;
  static inline Words across(const float* p, int64_t) { return bits_of(p); }
  static inline Words across(const uint16_t* p, int64_t) { return widened(p); }
  static inline Words along(const float* p) { return bits_of(p); }
  static inline Words along(const uint16_t* p) { return widened(p); }
  static inline float element(float x) { return x; }
  static inline float element(uint16_t x) { return bf16_to_f32(x); }
};
// Class bf16x2: a word is the bf16 of two values of k.
struct PairWords {
  static constexpr int64_t kUnit = 2;
  using Element = uint16_t;
  template <class Src>
  static inline Words across(const Src* p, int64_t k_stride) {
    return pairs_across(p, p + k_stride);
  }
  template <class Src>
  static inline Words along(const Src* p) {
    return pairs_along(p);
  }
  static inline uint16_t element(float x) { return f32_to_bf16(x); }
  static inline uint16_t element(uint16_t x) { return x; }
};

// A square of kLanes columns by kLanes words, transposed: dst[i] is kLanes words along k of column i.
template <class Form, class Src>
static inline void square_across(const Src* src, int64_t k_stride, Words* w) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) w[i] = Form::across(src + i * Form::kUnit * k_stride, k_stride);
  transpose(w);
}
template <class Form, class Src>
static inline void square_along(const Src* src, int64_t stride, Words* w) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) w[i] = Form::along(src + i * stride);
  transpose(w);
}

// Elements [m0, m1) x [k0, k1) of A.
template <class Form, class Src>
static void pack_a_elements(const Src* src, int64_t row_stride, int64_t k_stride, int64_t m0, int64_t m1, int64_t k0,
                            int64_t k1, typename Form::Element* out, int64_t lda) {
  for (int64_t i = m0; i < m1; ++i) {
    for (int64_t k = k0; k < k1; ++k) out[i * lda + k] = Form::element(src[i * row_stride + k * k_stride]);
  }
}

template <class Form, class Src>
static void pack_a(const Src* src, int64_t row_stride, int64_t k_stride, int64_t rows, int64_t K, void* dst,
                   int64_t lda) {
  auto* out = static_cast<typename Form::Element*>(dst);
  constexpr int64_t kStep = kLanes * Form::kUnit;
  int64_t whole = K / kStep * kStep;
  if (k_stride == 1) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < whole; k += kStep) words_store(out + i * lda + k, Form::along(src + i * row_stride + k));
    }
    pack_a_elements<Form>(src, row_stride, k_stride, 0, rows, whole, K, out, lda);
  } else if (row_stride == 1) {
    int64_t square_rows = rows / kLanes * kLanes;
    for (int64_t k = 0; k < whole; k += kStep) {
      for (int64_t i = 0; i < square_rows; i += kLanes) {
        Words w[kLanes];
        square_across<Form>(src + k * k_stride + i, k_stride, w);
        // More rows than the hardware follows: the next ones are asked for here.
        for (int64_t r = kStep; r < 2 * kStep; ++r) __builtin_prefetch(src + (k + r) * k_stride + i);
        for (int j = 0; j < kLanes; ++j) words_store(out + (i + j) * lda + k, w[j]);
      }
    }
    pack_a_elements<Form>(src, row_stride, k_stride, 0, square_rows, whole, K, out, lda);
    pack_a_elements<Form>(src, row_stride, k_stride, square_rows, rows, 0, K, out, lda);
  } else {
    pack_a_elements<Form>(src, row_stride, k_stride, 0, rows, 0, K, out, lda);
  }
  for (int64_t i = 0; i < rows && lda > K; ++i) {
    __builtin_memset(out + i * lda + K, 0, static_cast<size_t>(lda - K) * sizeof(*out));
  }
}

// Columns [j0, j1) and k [k0, k1) of one panel; both may reach beyond the matrix (n columns, K), where zeros go.
template <class Form, class Src>
static void pack_b_elements(const Src* src, int64_t k_stride, int64_t n_stride, int64_t K, int64_t n, int64_t j0,
                            int64_t j1, int64_t k0, int64_t k1, typename Form::Element* out) {
  constexpr int64_t kUnit = Form::kUnit;
  for (int64_t k = k0; k < k1; ++k) {
    for (int64_t j = j0; j < j1; ++j) {
      out[(k / kUnit * kPanel + j) * kUnit + k % kUnit] =
          k < K && j < n ? Form::element(src[k * k_stride + j * n_stride]) : typename Form::Element{0};
    }
  }
}

// `columns` (whole registers) of one word of k.
template <class Form, class Src>
static inline void pack_pieces(const Src* src, int64_t k_stride, int64_t columns, typename Form::Element* out) {
  for (int64_t j = 0; j < columns; j += kLanes) words_store(out + j * Form::kUnit, Form::across(src + j, k_stride));
}

// Whole panels of a source whose rows run along n: row by row, so that memory is read in order.
template <class Form, class Src>
static void pack_panels_by_row(const Src* src, int64_t k_stride, int64_t K, int64_t panels,
                               typename Form::Element* out) {
  constexpr int64_t kUnit = Form::kUnit;
  int64_t whole = K / kUnit * kUnit;
  int64_t panel = (K + kUnit - 1) / kUnit * kUnit * kPanel;
  for (int64_t k = 0; k < whole; k += kUnit) {
    const Src* row = src + k * k_stride;
    for (int64_t p = 0; p < panels; ++p) {
      constexpr int64_t kAhead = 8;  // rows
      for (int64_t r = 0; r < kUnit; ++r) {
        __builtin_prefetch(row + (kAhead + r) * k_stride + p * kPanel);
        __builtin_prefetch(row + (kAhead + r) * k_stride + p * kPanel + kPanel / 2);
      }
      pack_pieces<Form>(row + p * kPanel, k_stride, kPanel, out + p * panel + k * kPanel);
    }
  }
  for (int64_t p = 0; p < panels && whole < K; ++p) {
    pack_b_elements<Form>(src + p * kPanel, k_stride, 1, K, kPanel, 0, kPanel, whole, whole + kUnit, out + p * panel);
  }
}

// One panel of n <= kPanel columns.
template <class Form, class Src>
static void pack_panel(const Src* src, int64_t k_stride, int64_t n_stride, int64_t K, int64_t n,
                       typename Form::Element* out) {
  constexpr int64_t kUnit = Form::kUnit;
  constexpr int64_t kStep = kLanes * kUnit;
  int64_t padded = (K + kUnit - 1) / kUnit * kUnit;
  int64_t columns = n / kLanes * kLanes;  // done in whole registers
  int64_t done = 0;                       // values of k done so
  if (n_stride == 1) {
    done = K / kUnit * kUnit;
    for (int64_t k = 0; k < done; k += kUnit)
      pack_pieces<Form>(src + k * k_stride, k_stride, columns, out + k * kPanel);
  } else if (k_stride == 1) {
    done = K / kStep * kStep;
    for (int64_t j = 0; j < columns; j += kLanes) {
      for (int64_t k = 0; k < done; k += kStep) {
        Words w[kLanes];
        square_along<Form>(src + j * n_stride + k, n_stride, w);
        for (int i = 0; i < kLanes; ++i) words_store(out + ((k / kUnit + i) * kPanel + j) * kUnit, w[i]);
      }
    }
  }
  if (done > 0) pack_b_elements<Form>(src, k_stride, n_stride, K, n, columns, kPanel, 0, done, out);
  pack_b_elements<Form>(src, k_stride, n_stride, K, n, 0, kPanel, done, padded, out);
}

template <class Form, class Src>
static void pack_b(const Src* src, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N, void* dst) {
  auto* out = static_cast<typename Form::Element*>(dst);
  int64_t padded = (K + Form::kUnit - 1) / Form::kUnit * Form::kUnit;
  int64_t n0 = 0;
  if (n_stride == 1) {
    pack_panels_by_row<Form>(src, k_stride, K, N / kPanel, out);
    n0 = N / kPanel * kPanel;
    out += n0 * padded;
  }
  for (; n0 < N; n0 += kPanel, out += padded * kPanel) {
    int64_t n = N - n0 < kPanel ? N - n0 : kPanel;
    pack_panel<Form>(src + n0 * n_stride, k_stride, n_stride, K, n, out);
  }
}

static constexpr GemmKernels<Real> kGemmF32 = {1,
                                               4,
                                               pack_a<FloatWords, float>,
                                               pack_a<FloatWords, uint16_t>,
                                               pack_b<FloatWords, float>,
                                               pack_b<FloatWords, uint16_t>,
                                               multiply_f32};
static constexpr GemmKernels<Real> kGemmBF16x2 = {2,
                                                  2,
                                                  pack_a<PairWords, float>,
                                                  pack_a<PairWords, uint16_t>,
                                                  pack_b<PairWords, float>,
                                                  pack_b<PairWords, uint16_t>,
                                                  multiply_pairs};
