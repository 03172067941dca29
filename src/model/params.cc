// SPDX-License-Identifier: Apache-2.0
#include "model/params.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <set>

#include "base/rng.h"
#include "base/sha256.h"
#include "tensor/shape_text.h"

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

bool operand_role(ParamRole role) {
  return role == ParamRole::kMatrix || role == ParamRole::kEmbedding || role == ParamRole::kHead ||
         role == ParamRole::kTable;
}

// "X.weight [3, 4]", for lists of what is missing.
std::string named_shape(const Param& param) { return param.name + " " + shape_text(param.shape); }

std::string missing_text(const Param& param) {
  std::string text = named_shape(param) + " is missing";
  for (size_t i = 0; i < param.parts.size(); ++i) {
    text += (i == 0 ? ", and so is its other form, " : " with ") + named_shape(*param.parts[i]);
  }
  return text;
}

// What stops `tensor` from being the value of `param`; empty: nothing.
std::string misfit_text(const Param& param, const SourceTensor& tensor) {
  std::string file = base_name(tensor.file);
  if (tensor.shape != param.shape) {
    return fmt::format("{}: expected {}, found {} in {}", param.name, shape_text(param.shape), shape_text(tensor.shape),
                       file);
  }
  return tensor.problem.empty() ? "" : fmt::format("{}: {} in {}", param.name, tensor.problem, file);
}

void read_pages(const std::byte* data, int64_t bytes) {
  constexpr int64_t kPage = 4096;
  for (int64_t i = 0; i < bytes; i += kPage) static_cast<void>(*static_cast<const volatile std::byte*>(data + i));
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

Param& ParamStore::add_part(Param& whole, std::string name, std::vector<int64_t> shape) {
  Param& part = parts_.emplace_back();
  part.name = std::move(name);
  part.shape = std::move(shape);
  part.role = whole.role;
  part.always_packed = whole.always_packed;
  part.weight.value = Tensor(nullptr, DType::kF32, matrix_rows(part.shape), matrix_cols(part.shape));
  whole.parts.push_back(&part);
  return part;
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
  for (const Param& param : params_) total += param.optional ? 0 : param.size();
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

Residence residence(ParamRole role, const StoredMatrix& m, Numerics numerics) {
  bool dense = m.scales.data == nullptr && m.row_bytes == format_row_bytes(m.format, m.cols);
  auto usable = [&](Format format) {
    return m.format == format && dense &&
           reinterpret_cast<uintptr_t>(m.data) % static_cast<size_t>(format_block_bytes(format)) == 0;
  };
  if (numerics == Numerics::kF64) return usable(Format::kF64) ? Residence::kView : Residence::kOwned;
  if (usable(Format::kF32)) return Residence::kView;
  if (!operand_role(role)) return Residence::kOwned;
  return usable(Format::kBF16) ? Residence::kView : Residence::kStored;
}

void ParamStore::check_constants(const ModelSource& source, std::vector<std::string>* misfits) const {
  for (const Constant& constant : constants_) {
    const TensorInfo* info = source.checkpoint() != nullptr ? source.checkpoint()->find(constant.name) : nullptr;
    if (info == nullptr) {
      misfits->push_back(fmt::format("{} {} is missing", constant.name, shape_text(constant.shape)));
    } else if (info->shape != constant.shape || info->dtype != constant.dtype) {
      misfits->push_back(fmt::format("{}: expected {} {}, found {} {}", constant.name, dtype_name(constant.dtype),
                                     shape_text(constant.shape), dtype_name(info->dtype), shape_text(info->shape)));
    }
  }
}

std::vector<Binding> ParamStore::match(const ModelSource& source, std::vector<std::string>* misfits) const {
  check_constants(source, misfits);
  std::vector<Binding> bindings;
  auto add = [&](Param* param, const SourceTensor* tensor) {
    std::string misfit = misfit_text(*param, *tensor);
    if (misfit.empty()) {
      bindings.push_back({param, tensor});
    } else {
      misfits->push_back(std::move(misfit));
    }
  };
  for (Param* param : by_name_) {
    const SourceTensor* tensor = source.find(param->name);
    bool by_parts = tensor == nullptr && !param->parts.empty() &&
                    std::ranges::all_of(param->parts, [&](Param* p) { return source.find(p->name) != nullptr; });
    if (tensor != nullptr) {
      add(param, tensor);
    } else if (by_parts) {
      for (Param* part : param->parts) add(part, source.find(part->name));
    } else if (!param->optional) {
      misfits->push_back(missing_text(*param));
    }
  }
  return bindings;
}

void ParamStore::refuse_misfits(const ModelSource& source, const std::vector<std::string>& misfits) const {
  if (misfits.empty()) return;
  std::string text = fmt::format("{}: {} of {} tensors do not fit the config: ", source.path(), misfits.size(),
                                 by_name_.size() + constants_.size());
  for (size_t i = 0; i < misfits.size() && i < kMaxMisfitsShown; ++i) text += (i == 0 ? "" : "; ") + misfits[i];
  if (misfits.size() > kMaxMisfitsShown) text += fmt::format("; and {} more", misfits.size() - kMaxMisfitsShown);
  throw Error(ErrorCode::kCorrupt, text,
              "is the config the one that belongs to these tensors? unha inspect lists all of them");
}

void ParamStore::place(Param& param, const SourceTensor& tensor, Numerics numerics) {
  const StoredMatrix& m = tensor.matrix;
  Weight& weight = param.weight;
  int64_t rows = m.rows, cols = m.cols;
  DType real = numerics == Numerics::kF64 ? DType::kF64 : DType::kF32;
  weight.stored = {};
  ++weight.version;
  switch (residence(param.role, m, numerics)) {
    case Residence::kView:
      // Mapped read-only; nothing writes to a bound value.
      weight.value =
          Tensor(const_cast<std::byte*>(m.data), m.format == Format::kBF16 ? DType::kBF16 : real, rows, cols);
      return;
    case Residence::kStored:
      weight.value = Tensor(nullptr, DType::kF32, rows, cols);
      weight.stored = m;
      return;
    case Residence::kOwned:
      break;
  }
  weight.value = Tensor(own(rows * cols * dtype_bytes(real)), real, rows, cols);
  std::vector<float> row(static_cast<size_t>(real == DType::kF64 ? cols : 0));
  for (int64_t r = 0; r < rows; ++r) {
    if (real == DType::kF32) {
      m.widen(r, 0, cols, weight.value.row<float>(r));
    } else {
      m.widen(r, 0, cols, row.data());
      std::copy(row.begin(), row.end(), weight.value.row<double>(r));
    }
  }
}

void ParamStore::bind(std::shared_ptr<const ModelSource> source, Numerics numerics,
                      const std::function<void(int64_t, int64_t)>& progress, bool read_all) {
  std::vector<std::string> misfits;
  std::vector<Binding> bindings = match(*source, &misfits);
  refuse_misfits(*source, misfits);
  if (!constants_.empty()) read_constants(*source->checkpoint());
  int64_t all = 0, done = 0;
  for (const Binding& binding : bindings) all += binding.tensor->bytes;
  for (const auto& [param, tensor] : bindings) {
    place(*param, *tensor, numerics);
    // A stretch at a time, so that progress moves within a large tensor.
    constexpr int64_t kStretch = 16 << 20;
    int64_t bytes = tensor->matrix.bytes();
    for (int64_t at = 0; read_all && at < bytes; at += kStretch) {
      read_pages(tensor->matrix.data + at, std::min(kStretch, bytes - at));
      if (progress && at + kStretch < bytes) progress(done + at + kStretch, all);
    }
    done += tensor->bytes;
    if (progress) progress(done, all);
  }
  source_ = std::move(source);
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

std::vector<std::string> ParamStore::unused_names(const ModelSource& source) const {
  std::set<std::string_view> parts;
  for (const Param& part : parts_) parts.insert(part.name);
  std::vector<std::string> names;
  for (const SourceTensor* tensor : source.tensors()) {
    const std::string& name = tensor->name;
    if (find(name) == nullptr && find_constant(name) == nullptr && !parts.contains(name)) names.push_back(name);
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
