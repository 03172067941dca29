// SPDX-License-Identifier: Apache-2.0
#include "model/params.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/rng.h"
#include "base/sha256.h"

namespace unha {

namespace {

constexpr std::align_val_t kAlign{64};
constexpr size_t kMaxMisfitsShown = 20;

int64_t matrix_cols(const std::vector<int64_t>& shape) {
  int64_t cols = 1;
  for (size_t i = shape.size() == 1 ? 0 : 1; i < shape.size(); ++i) cols *= shape[i];
  return cols;
}
int64_t matrix_rows(const std::vector<int64_t>& shape) { return shape.size() == 1 ? 1 : shape[0]; }

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

bool operand_role(ParamRole role) {
  return role == ParamRole::kMatrix || role == ParamRole::kEmbedding || role == ParamRole::kHead ||
         role == ParamRole::kTable;
}

float f16_to_f32(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  int exponent = (bits >> 10) & 31;
  uint32_t fraction = bits & 1023u;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | (static_cast<uint32_t>(exponent + 112) << 23) | (fraction << 13));
  float magnitude = static_cast<float>(fraction) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

// Widens `count` elements of a stored tensor, whatever their alignment.
template <class R>
void widen(const TensorInfo& info, R* out) {
  int64_t count = info.elements();
  auto each = [&](auto stored, auto convert) {
    using T = decltype(stored);
    for (int64_t i = 0; i < count; ++i) {
      T value;
      std::memcpy(&value, info.data + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
      out[i] = static_cast<R>(convert(value));
    }
  };
  switch (info.dtype) {
    case DType::kF32:
      return each(float{}, [](float v) { return v; });
    case DType::kF64:
      return each(double{}, [](double v) { return v; });
    case DType::kBF16:
      return each(uint16_t{}, bf16_to_f32);
    case DType::kF16:
      return each(uint16_t{}, f16_to_f32);
    default:
      UNHA_CHECK(false, "{}: widen {}", info.name, dtype_name(info.dtype));
  }
}

bool can_widen(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kBF16 || dtype == DType::kF16;
}

}  // namespace

int64_t Param::size() const { return matrix_rows(shape) * matrix_cols(shape); }

Param& ParamStore::add(std::string name, std::vector<int64_t> shape, ParamRole role, Init init) {
  UNHA_CHECK(find(name) == nullptr, "parameter {} twice", name);
  Param& param = params_.emplace_back();
  param.name = std::move(name);
  param.shape = std::move(shape);
  param.role = role;
  param.init = init;
  param.weight.value = Tensor(nullptr, DType::kF32, matrix_rows(param.shape), matrix_cols(param.shape));
  auto before = [](const Param* a, const std::string& b) { return a->name < b; };
  by_name_.insert(std::lower_bound(by_name_.begin(), by_name_.end(), param.name, before), &param);
  return param;
}

Constant& ParamStore::add_constant(std::string name, std::vector<int64_t> shape, DType dtype) {
  int64_t bytes = matrix_rows(shape) * matrix_cols(shape) * dtype_bytes(dtype);
  return constants_.emplace_back(
      Constant{std::move(name), std::move(shape), dtype, std::vector<std::byte>(static_cast<size_t>(bytes))});
}

const Constant* ParamStore::find_constant(std::string_view name) const {
  for (const Constant& constant : constants_) {
    if (constant.name == name) return &constant;
  }
  return nullptr;
}

Param* ParamStore::find(std::string_view name) const {
  auto before = [](const Param* a, std::string_view b) { return a->name < b; };
  auto it = std::lower_bound(by_name_.begin(), by_name_.end(), name, before);
  return it != by_name_.end() && (*it)->name == name ? *it : nullptr;
}

int64_t ParamStore::total_parameters() const {
  int64_t total = 0;
  for (const Param& param : params_) total += param.size();
  return total;
}

DType ParamStore::storage(ParamRole role, Numerics numerics) const {
  if (numerics == Numerics::kF64) return DType::kF64;
  return numerics == Numerics::kBF16x2 && operand_role(role) ? DType::kBF16 : DType::kF32;
}

std::byte* ParamStore::own(int64_t bytes) {
  auto size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
  auto* data = static_cast<std::byte*>(::operator new(size, kAlign));
  owned_.emplace_back(data, [](std::byte* p) { ::operator delete(p, kAlign); });
  owned_bytes_ += bytes;
  return data;
}

void ParamStore::bind(std::shared_ptr<const Checkpoint> shared, Numerics numerics,
                      const std::function<void(int64_t, int64_t)>& progress) {
  std::vector<std::string> misfits;
  std::vector<const TensorInfo*> found;
  int64_t all = 0, done = 0;
  for (Constant& constant : constants_) {
    const TensorInfo* info = shared->find(constant.name);
    if (info == nullptr) {
      misfits.push_back(fmt::format("{} {} is missing", constant.name, shape_text(constant.shape)));
    } else if (info->shape != constant.shape || info->dtype != constant.dtype) {
      misfits.push_back(fmt::format("{}: expected {} {}, found {} {}", constant.name, dtype_name(constant.dtype),
                                    shape_text(constant.shape), dtype_name(info->dtype), shape_text(info->shape)));
    } else {
      std::memcpy(constant.bytes.data(), info->data, constant.bytes.size());
    }
  }
  for (Param* param : by_name_) {
    const TensorInfo* info = shared->find(param->name);
    found.push_back(info);
    if (info == nullptr) {
      misfits.push_back(fmt::format("{} {} is missing", param->name, shape_text(param->shape)));
    } else if (info->shape != param->shape) {
      misfits.push_back(
          fmt::format("{}: expected {}, found {}", param->name, shape_text(param->shape), shape_text(info->shape)));
    } else if (!can_widen(info->dtype)) {
      misfits.push_back(fmt::format("{}: type {} is not supported here", param->name, dtype_name(info->dtype)));
    } else {
      all += info->bytes;
    }
  }
  if (!misfits.empty()) {
    std::string text = fmt::format("{}: {} of {} tensors do not fit the config: ", shared->dir(), misfits.size(),
                                   by_name_.size() + constants_.size());
    for (size_t i = 0; i < misfits.size() && i < kMaxMisfitsShown; ++i) text += (i == 0 ? "" : "; ") + misfits[i];
    if (misfits.size() > kMaxMisfitsShown) text += fmt::format("; and {} more", misfits.size() - kMaxMisfitsShown);
    throw Error(ErrorCode::kCorrupt, text, "is config.json the one that belongs to these tensors?");
  }
  for (size_t i = 0; i < by_name_.size(); ++i) {
    Param& param = *by_name_[i];
    const TensorInfo& info = *found[i];
    Tensor shape = param.weight.value;
    bool operand = operand_role(param.role) && numerics != Numerics::kF64;
    bool aligned = reinterpret_cast<uintptr_t>(info.data) % static_cast<size_t>(dtype_bytes(info.dtype)) == 0;
    bool view = aligned && (operand ? info.dtype == DType::kBF16 || info.dtype == DType::kF32
                                    : info.dtype == storage(param.role, numerics));
    if (view) {
      // Mapped read-only; nothing writes to a bound value.
      param.weight.value = Tensor(const_cast<std::byte*>(info.data), info.dtype, shape.rows(), shape.cols());
    } else if (numerics == Numerics::kF64) {
      std::byte* data = own(info.elements() * 8);
      widen(info, reinterpret_cast<double*>(data));
      param.weight.value = Tensor(data, DType::kF64, shape.rows(), shape.cols());
    } else {
      std::byte* data = own(info.elements() * 4);
      widen(info, reinterpret_cast<float*>(data));
      param.weight.value = Tensor(data, DType::kF32, shape.rows(), shape.cols());
    }
    ++param.weight.version;
    done += info.bytes;
    if (progress) progress(done, all);
  }
  checkpoint_ = std::move(shared);
  numerics_ = numerics;
}

void ParamStore::read_constants(const Checkpoint& checkpoint) {
  for (Constant& constant : constants_) {
    const TensorInfo* info = checkpoint.find(constant.name);
    UNHA_CHECK(info != nullptr && info->bytes == static_cast<int64_t>(constant.bytes.size()), "constant {}",
               constant.name);
    std::memcpy(constant.bytes.data(), info->data, constant.bytes.size());
  }
}

std::vector<std::string> ParamStore::unused_names(const Checkpoint& checkpoint) const {
  std::vector<std::string> names;
  for (const auto& [name, info] : checkpoint.tensors()) {
    if (find(name) == nullptr && find_constant(name) == nullptr) names.push_back(name);
  }
  return names;
}

void ParamStore::allocate(Numerics numerics, bool with_grads) {
  numerics_ = numerics;
  grad_elements_ = 0;
  for (Param* param : by_name_) {
    DType dtype = storage(param->role, numerics);
    Tensor shape = param->weight.value;
    param->weight.value = Tensor(own(param->size() * dtype_bytes(dtype)), dtype, shape.rows(), shape.cols());
    ++param->weight.version;
    if (param->dense_grad()) grad_elements_ += param->size();
  }
  if (with_grads) {
    int64_t bytes = grad_elements_ * dtype_bytes(numerics == Numerics::kF64 ? DType::kF64 : DType::kF32);
    std::byte* buffer = own(bytes);
    std::memset(buffer, 0, static_cast<size_t>(bytes));
    use_grads(buffer);
  }
}

void ParamStore::use_grads(std::byte* buffer) {
  grads_ = buffer;
  DType real = numerics_ == Numerics::kF64 ? DType::kF64 : DType::kF32;
  for (Param* param : by_name_) {
    if (!param->dense_grad()) continue;
    param->weight.grad = Tensor(buffer, real, param->weight.rows(), param->weight.cols());
    buffer += param->size() * dtype_bytes(real);
  }
}

namespace {
template <class R>
void fill_initial(const Param& param, uint64_t seed, R* out) {
  int64_t n = param.size();
  switch (param.init.kind) {
    case Init::Kind::kZeros:
      std::fill(out, out + n, R{0});
      return;
    case Init::Kind::kOnes:
      std::fill(out, out + n, R{1});
      return;
    case Init::Kind::kNormal:
      break;
  }
  // The stream is named by the tensor, so adding a parameter never changes another's values.
  uint64_t stream = std::stoull(Sha256::of(param.name).substr(0, 15), nullptr, 16);
  Rng rng(seed, Purpose::kInit, stream);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<R>(static_cast<float>(param.init.std * rng.normal_at(static_cast<uint64_t>(i))));
  }
}
}  // namespace

void ParamStore::initial_values(const Param& param, uint64_t seed, float* out) { fill_initial(param, seed, out); }
void ParamStore::initial_values(const Param& param, uint64_t seed, double* out) { fill_initial(param, seed, out); }

}  // namespace unha
