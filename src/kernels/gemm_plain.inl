// SPDX-License-Identifier: Apache-2.0
// The definition: contractions in one chain per output, in plain loops. The scalar and f64 tiers run it; the vector
// tiers (gemm_tile.inl, gemm_pack.inl) are tested against it with ==. Included inside a tier's namespace.

template <class Src>
static Real pack_value(Src x) {
  if constexpr (sizeof(Src) == 2) {
    return static_cast<Real>(bf16_to_f32(x));
  } else {
    return x;
  }
}
template <class Src>
static uint16_t pack_rounded(Src x) {
  if constexpr (sizeof(Src) == 2) {
    return x;
  } else {
    return f32_to_bf16(static_cast<float>(x));
  }
}

template <class Src>
static void pack_a_plain(const Src* src, int64_t row_stride, int64_t k_stride, int64_t rows, int64_t K, void* dst,
                         int64_t lda) {
  auto* out = static_cast<Real*>(dst);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < K; ++k) out[i * lda + k] = pack_value(src[i * row_stride + k * k_stride]);
    for (int64_t k = K; k < lda; ++k) out[i * lda + k] = 0;
  }
}
template <class Src>
static void pack_b_plain(const Src* src, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N, void* dst) {
  auto* out = static_cast<Real*>(dst);
  for (int64_t n0 = 0; n0 < N; n0 += kPanel, out += K * kPanel) {
    for (int64_t k = 0; k < K; ++k) {
      for (int64_t j = 0; j < kPanel; ++j) {
        out[k * kPanel + j] = n0 + j < N ? pack_value(src[k * k_stride + (n0 + j) * n_stride]) : Real{0};
      }
    }
  }
}
static void multiply_plain(const void* a, int64_t lda, const void* b, int64_t M, int64_t N, int64_t K, Real* c,
                           int64_t ldc, Accumulate mode) {
  const auto* rows = static_cast<const Real*>(a);
  const auto* panel = static_cast<const Real*>(b);
  for (int64_t n0 = 0; n0 < N; n0 += kPanel, panel += K * kPanel) {
    for (int64_t m = 0; m < M; ++m) {
      for (int64_t j = 0; j < kPanel && n0 + j < N; j += 16) {
        int lanes = static_cast<int>(N - n0 - j < 16 ? N - n0 - j : 16);
        Real* out = c + m * ldc + n0 + j;
        Vec acc = mode == Accumulate::kContinue ? load_n(out, lanes) : zero();
        for (int64_t k = 0; k < K; ++k) acc = fma(set(rows[m * lda + k]), load(panel + k * kPanel + j), acc);
        if (mode == Accumulate::kAdd) acc = add(load_n(out, lanes), acc);
        store_n(out, acc, lanes);
      }
    }
  }
}

static constexpr GemmKernels<Real> kGemmF32 = {1,
                                               sizeof(Real),
                                               pack_a_plain<Real>,
                                               pack_a_plain<uint16_t>,
                                               pack_b_plain<Real>,
                                               pack_b_plain<uint16_t>,
                                               multiply_plain};

// bf16x2: the VDPBF16PS rule, per pair an fma of the odd and then of the even element.
template <class Src>
static void pack_a_pairs(const Src* src, int64_t row_stride, int64_t k_stride, int64_t rows, int64_t K, void* dst,
                         int64_t lda) {
  auto* out = static_cast<uint16_t*>(dst);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < K; ++k) out[i * lda + k] = pack_rounded(src[i * row_stride + k * k_stride]);
    for (int64_t k = K; k < lda; ++k) out[i * lda + k] = 0;
  }
}
template <class Src>
static void pack_b_pairs(const Src* src, int64_t k_stride, int64_t n_stride, int64_t K, int64_t N, void* dst) {
  auto* out = static_cast<uint16_t*>(dst);
  int64_t padded = (K + 1) / 2 * 2;
  for (int64_t n0 = 0; n0 < N; n0 += kPanel, out += padded * kPanel) {
    for (int64_t k = 0; k < padded; ++k) {
      for (int64_t j = 0; j < kPanel; ++j) {
        bool inside = k < K && n0 + j < N;
        out[(k / 2 * kPanel + j) * 2 + k % 2] =
            inside ? pack_rounded(src[k * k_stride + (n0 + j) * n_stride]) : uint16_t{0};
      }
    }
  }
}
static void multiply_pairs(const void* a, int64_t lda, const void* b, int64_t M, int64_t N, int64_t K, Real* c,
                           int64_t ldc, Accumulate mode) {
  const auto* rows = static_cast<const uint16_t*>(a);
  const auto* panel = static_cast<const uint16_t*>(b);
  int64_t padded = (K + 1) / 2 * 2;
  for (int64_t n0 = 0; n0 < N; n0 += kPanel, panel += padded * kPanel) {
    for (int64_t m = 0; m < M; ++m) {
      for (int64_t j = 0; j < kPanel && n0 + j < N; ++j) {
        Real* out = c + m * ldc + n0 + j;
        Real acc = mode == Accumulate::kContinue ? *out : Real{0};
        for (int64_t k = 0; k < padded; k += 2) {
          const uint16_t* pair = panel + (k / 2 * kPanel + j) * 2;
          acc = fma1(pack_value(rows[m * lda + k + 1]), pack_value(pair[1]), acc);
          acc = fma1(pack_value(rows[m * lda + k]), pack_value(pair[0]), acc);
        }
        *out = mode == Accumulate::kAdd ? *out + acc : acc;
      }
    }
  }
}

static constexpr GemmKernels<Real> kGemmBF16x2 = {
    2, 2, pack_a_pairs<Real>, pack_a_pairs<uint16_t>, pack_b_pairs<Real>, pack_b_pairs<uint16_t>, multiply_pairs};
