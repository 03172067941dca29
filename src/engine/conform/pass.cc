// SPDX-License-Identifier: Apache-2.0
#include "engine/conform/pass.h"

#include "base/error.h"
#include "ops/linear.h"

namespace unha {

namespace {

double value_at(const Tensor& t, int64_t row, int64_t col) {
  switch (t.dtype()) {
    case DType::kF32:
      return static_cast<double>(t.row<float>(row)[col]);
    case DType::kI32:
      return t.row<int32_t>(row)[col];
    case DType::kI64:
      return static_cast<double>(t.row<int64_t>(row)[col]);
    default:
      UNHA_CHECK(t.dtype() == DType::kBF16, "an observed tensor of {}", dtype_name(t.dtype()));
      return static_cast<double>(bf16_to_f32(t.row<uint16_t>(row)[col]));
  }
}

Observed copy_of(const Tensor& t) {
  Observed out{t.rows(), t.cols(), {}};
  out.values.reserve(static_cast<size_t>(t.size()));
  for (int64_t r = 0; r < t.rows(); ++r) {
    for (int64_t c = 0; c < t.cols(); ++c) out.values.push_back(value_at(t, r, c));
  }
  return out;
}

// "attn" of layer 2 is attn.2, "router.ids" of it router.2.ids; without a layer a name stays as it is.
std::string golden_name(const std::string& name, int layer) {
  if (layer < 0) return name;
  size_t dot = name.find('.');
  std::string number = "." + std::to_string(layer);
  return dot == std::string::npos ? name + number : name.substr(0, dot) + number + name.substr(dot);
}

class Recorder : public Observer {
 public:
  explicit Recorder(std::map<std::string, Observed>& seen) : seen_(seen) {}
  void observe(const char* name, int layer, const Tensor& value) override {
    seen_[golden_name(name, layer)] = copy_of(value);
  }

 private:
  std::map<std::string, Observed>& seen_;
};

std::vector<float> floats(const Tensor& t) { return {t.data<float>(), t.data<float>() + t.size()}; }

}  // namespace

WholePass run_whole(Engine& engine, std::span<const int32_t> ids, bool observe) {
  WholePass out;
  Recorder recorder(out.seen);
  Model& model = engine.model();
  engine.begin();
  Ctx ctx = engine.ctx();
  if (observe) ctx.observer = &recorder;
  auto n = static_cast<int64_t>(ids.size());
  Segment segment{0, n, 0};
  Tensor h = model.trunk(ctx, Batch{ids, {&segment, 1}, {}, nullptr});  // [T, D]
  ctx.observer = nullptr;  // layers of the modules below are none of the trunk's
  Tensor norm = model.final_norm(ctx, h);
  Tensor logits = ops::linear(ctx, norm, model.head());  // [T, V]
  out.logits = floats(logits);
  if (observe) {
    out.seen["norm"] = copy_of(norm);
    out.seen["logits"] = copy_of(logits);
  }
  for (int k = 0; k < model.mtp_depth() && n - 1 - k > 0; ++k) {
    Segment rows{0, n - 1 - k, 0};
    h = model.mtp(ctx, k, h.slice_rows(0, rows.len),
                  Batch{ids.subspan(static_cast<size_t>(k) + 1), {&rows, 1}, {}, nullptr});
    Tensor next = ops::linear(ctx, model.mtp_norm(ctx, k, h), model.mtp_head(k));  // [T - 1 - k, V]
    out.mtp_logits.push_back(floats(next));
    if (observe) {
      out.seen[golden_name("mtp.hidden", k)] = copy_of(h);
      out.seen[golden_name("mtp.logits", k)] = copy_of(next);
    }
  }
  return out;
}

}  // namespace unha
