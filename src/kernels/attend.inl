// SPDX-License-Identifier: Apache-2.0
// Softmax over key blocks and its gradient, on rows. Included inside a tier's namespace, after gemm. Form: how the
// class stores operands.

struct RealForm {
  using Element = Real;
  static constexpr int64_t kUnit = 1;
  static inline Vec get(const Element* p) { return load(p); }
  static inline Vec get_n(const Element* p, int n) { return load_n(p, n); }
  static inline void put(Element* p, Vec a) { store(p, a); }
  static inline void put_n(Element* p, Vec a, int n) { store_n(p, a, n); }
};
struct Bf16Form {
  using Element = uint16_t;
  static constexpr int64_t kUnit = 2;
  static inline Vec get(const Element* p) { return load_bf16(p); }
  static inline Vec get_n(const Element* p, int n) { return load_bf16_n(p, n); }
  static inline void put(Element* p, Vec a) { store_bf16(p, a); }
  static inline void put_n(Element* p, Vec a, int n) { store_bf16_n(p, a, n); }
};

static constexpr int64_t kLane16 = 16;
static constexpr int64_t kBlockVecs = kKeyBlock / kLane16;

static inline Mask first_lanes(int64_t n) {
  alignas(64) static constexpr Real kNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return lt(load(kNumbers), set(static_cast<Real>(n)));
}
static inline int64_t keys_of_row(const BlockRows& block, int64_t row) {
  int64_t n = block.visible + row / block.heads;
  return n < kKeyBlock ? n : kKeyBlock;
}

template <class Form>
static void round_rows(const Real* src, int64_t src_stride, int64_t rows, int64_t cols, void* dst, int64_t dst_stride,
                       int64_t padded) {
  auto* out = static_cast<typename Form::Element*>(dst);
  for (int64_t i = 0; i < rows; ++i, src += src_stride, out += dst_stride) {
    int64_t j = 0;
    for (; j + kLane16 <= cols; j += kLane16) Form::put(out + j, load(src + j));
    if (j < cols) Form::put_n(out + j, load_n(src + j, static_cast<int>(cols - j)), static_cast<int>(cols - j));
    for (j = cols; j < padded; ++j) out[j] = 0;
  }
}

static inline void scale_row(Real* x, int64_t n, Real factor) {
  Vec f = set(factor);
  int64_t j = 0;
  for (; j + kLane16 <= n; j += kLane16) store(x + j, mul(load(x + j), f));
  if (j < n) store_n(x + j, mul(load_n(x + j, static_cast<int>(n - j)), f), static_cast<int>(n - j));
}

template <class Form>
static void softmax_block(const SoftmaxBlock<Real>& args) {
  constexpr Real kInf = std::numeric_limits<Real>::infinity();
  Vec scale = set(args.scale);
  auto* p_row = static_cast<typename Form::Element*>(args.p);
  for (int64_t i = 0; i < args.block.rows; ++i, p_row += kKeyBlock) {
    int64_t keys = keys_of_row(args.block, i);
    const Real* scores = args.scores + i * kKeyBlock;
    Vec s[kBlockVecs];
    Vec highest = set(args.first ? -kInf : args.row_max[i]);
    for (int64_t v = 0; v * kLane16 < keys; ++v) {
      s[v] = mul(load(scores + v * kLane16), scale);
      if (keys < (v + 1) * kLane16) s[v] = select(first_lanes(keys - v * kLane16), s[v], set(-kInf));
      highest = max(highest, s[v]);
    }
    Real row_max = reduce_max(highest);
    Real* sums = args.sums + i * kLane16;
    Vec sum = zero();
    if (!args.first) {
      Vec alpha = exp(set(args.row_max[i] - row_max));
      sum = mul(load(sums), alpha);
      if (!(args.row_max[i] == row_max)) {  // else the factor is 1
        alignas(64) Real factor[kLane16];
        store(factor, alpha);
        scale_row(args.acc + i * args.width, args.width, factor[0]);
      }
    }
    args.row_max[i] = row_max;
    Vec top = set(row_max);
    for (int64_t v = 0; v < kBlockVecs; ++v) {
      Vec p = zero();
      if (v * kLane16 < keys) {
        p = exp(sub(s[v], top));
        if (keys < (v + 1) * kLane16) p = select(first_lanes(keys - v * kLane16), p, zero());
        sum = add(sum, p);
      }
      Form::put(p_row + v * kLane16, p);
    }
    store(sums, sum);
  }
}

template <class Form>
static void finish_rows(const Real* acc, const Real* sums, int64_t rows, int64_t width, Real* inv_sum, void* dst,
                        int64_t dst_stride) {
  auto* out = static_cast<typename Form::Element*>(dst);
  for (int64_t i = 0; i < rows; ++i, acc += width, out += dst_stride) {
    Real inv = Real{1} / reduce_add(load(sums + i * kLane16));
    inv_sum[i] = inv;
    Vec f = set(inv);
    // Adding zero makes -0 into 0: how many masked keys a tile mixed in with weight 0 must not show.
    int64_t j = 0;
    for (; j + kLane16 <= width; j += kLane16) Form::put(out + j, add(mul(load(acc + j), f), zero()));
    if (j < width) {
      int n = static_cast<int>(width - j);
      Form::put_n(out + j, add(mul(load_n(acc + j, n), f), zero()), n);
    }
    for (j = width; j < dst_stride; ++j) out[j] = 0;
  }
}

// Two rows of kKeyBlock reals (`odd` one row after `even`) as one step of K of two panels that are `panel` elements
// apart; in the plain classes a step is one row.
static inline void put_panels(RealForm, const Real* row, Real* out, int64_t panel) {
  for (int64_t j = 0; j < kKeyBlock; j += kLane16) store(out + j / kPanel * panel + j % kPanel, load(row + j));
}
static inline void put_panels(Bf16Form, const Real* even, uint16_t* out, int64_t panel) {
  const Real* odd = even + kKeyBlock;
#ifdef UNHA_TIER_LANES
  for (int64_t j = 0; j < kKeyBlock; j += kLanes) {
    words_store(out + j / kPanel * panel + j % kPanel * 2, pairs_across(even + j, odd + j));
  }
#else
  for (int64_t j = 0; j < kKeyBlock; ++j) {
    uint16_t* pair = out + j / kPanel * panel + j % kPanel * 2;
    pair[0] = f32_to_bf16(static_cast<float>(even[j]));
    pair[1] = f32_to_bf16(static_cast<float>(odd[j]));
  }
#endif
}

static inline void softmax_grad_row(const SoftmaxGrad<Real>& args, int64_t i, Real* p_out, Real* ds_out) {
  int64_t keys = keys_of_row(args.block, i);
  Vec scale = set(args.scale), top = set(args.row_max[i]), inv = set(args.inv_sum[i]), delta = set(args.delta[i]);
  const Real* scores = args.scores + i * kKeyBlock;
  const Real* d_p = args.d_p + i * kKeyBlock;
  for (int64_t j = 0; j < kKeyBlock; j += kLane16) {
    Vec p = zero(), ds = zero();
    if (j < keys) {
      p = mul(exp(sub(mul(load(scores + j), scale), top)), inv);
      ds = mul(mul(p, sub(load(d_p + j), delta)), scale);
      if (keys < j + kLane16) {
        Mask seen = first_lanes(keys - j);
        p = select(seen, p, zero());
        ds = select(seen, ds, zero());
      }
    }
    store(p_out + j, p);
    store(ds_out + j, ds);
  }
}

template <class Form>
static void softmax_grad(const SoftmaxGrad<Real>& args) {
  using Element = typename Form::Element;
  constexpr int64_t kUnit = Form::kUnit;
  int64_t rows = args.block.rows;
  int64_t panel = (rows + kUnit - 1) / kUnit * kUnit * kPanel;
  auto* ds_row = static_cast<Element*>(args.ds);
  auto* p_panels = static_cast<Element*>(args.p_panels);
  auto* ds_panels = static_cast<Element*>(args.ds_panels);
  alignas(64) Real p[kUnit * kKeyBlock], ds[kUnit * kKeyBlock];
  for (int64_t i = 0; i < rows; i += kUnit) {
    for (int64_t u = 0; u < kUnit; ++u) {
      if (i + u < rows) {
        softmax_grad_row(args, i + u, p + u * kKeyBlock, ds + u * kKeyBlock);
        for (int64_t j = 0; j < kKeyBlock; j += kLane16) Form::put(ds_row + j, load(ds + u * kKeyBlock + j));
        ds_row += kKeyBlock;
      } else {
        for (int64_t j = 0; j < kKeyBlock; ++j) p[u * kKeyBlock + j] = ds[u * kKeyBlock + j] = 0;
      }
    }
    put_panels(Form{}, p, p_panels + i * kPanel, panel);
    put_panels(Form{}, ds, ds_panels + i * kPanel, panel);
  }
}

template <class Form>
static void dot_rows(const void* a, const void* b, int64_t stride, int64_t rows, int64_t width, Real* out) {
  using Element = typename Form::Element;
  for (int64_t i = 0; i < rows; ++i) {
    const auto* x = static_cast<const Element*>(a) + i * stride;
    const auto* y = static_cast<const Element*>(b) + i * stride;
    Vec sum = zero();
    int64_t j = 0;
    for (; j + kLane16 <= width; j += kLane16) sum = fma(Form::get(x + j), Form::get(y + j), sum);
    if (j < width) {
      int n = static_cast<int>(width - j);
      sum = fma(Form::get_n(x + j, n), Form::get_n(y + j, n), sum);
    }
    out[i] = reduce_add(sum);
  }
}

template <class Form>
static constexpr AttendClass<Real> kAttendClass = {round_rows<Form>, softmax_block<Form>, finish_rows<Form>,
                                                   softmax_grad<Form>, dot_rows<Form>};

static constexpr AttendKernels<Real> kAttend = {kAttendClass<RealForm>, kAttendClass<Bf16Form>};
