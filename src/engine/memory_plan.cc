// SPDX-License-Identifier: Apache-2.0
#include "engine/memory_plan.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/threads.h"
#include "model/tensor_groups.h"
#include "ops/panels.h"

namespace unha {

namespace {

constexpr int64_t kProgram = 12 << 20, kPerToken = 512, kPerTensor = 1280;  // bytes, rounded up from measurements

// Panels of a product's weight, or values looked up and used as they are.
bool is_multiplied(const Model& model, const Param& param) {
  bool head = &param.weight == &model.head();  // a tied one is looked up too
  return param.role == ParamRole::kMatrix || param.role == ParamRole::kHead || head;
}

// Widths of a step's activations, gathered over the matrices of a model.
class StepWidths {
 public:
  void add(const Model& model, const Param& param, const StoredMatrix& matrix) {
    std::string_view part = tensor_part(param);
    if (part == "head" || &param.weight == &model.head()) {
      head_ = matrix.rows;
    } else if (part == "experts") {
      expert_ = std::max(expert_, std::min(matrix.rows, matrix.cols));
    } else {
      layers_[layer_of(param.name)] += matrix.rows + matrix.cols;  // what it makes, and its input as operands
    }
  }

  // Layers follow one another in the same memory (ops/in_place.h), so the widest of them counts. Around its products
  // are the residual stream, norms and sums; experts give a row for each choice.
  int64_t bytes(const Model& model, const PlanInput& input) const {
    int64_t D = model.hidden_size(), widest = 0;
    for (const auto& [layer, width] : layers_) widest = std::max(widest, width);
    int64_t choices = expert_ > 0 ? model.config().value("num_experts_per_tok", int64_t{0}) + 1 : 0;
    int64_t token = 8 * D + widest + choices * D;
    CacheLayout layout = model.cache_layout();
    int64_t key = layout.bytes_per_token(DType::kF32) / std::max<int64_t>(layout.attention_layers(), 1) / kReal;
    // Of a thread: a tile of an expert's tokens, or of queries, and what an indexer scores.
    int64_t thread = std::max(kTileRows * (D + 4 * expert_), 4 * kTileRows * key) + kTileTokens * input.context;
    int64_t threads = input.threads > 0 ? input.threads : Threads::hardware_threads();
    int64_t rows = std::min(input.chunk, input.context);
    return kReal * (rows * token + threads * thread + kHeadRows * (D + head_)) + kSmallThings;
  }

 private:
  static constexpr int64_t kReal = sizeof(float);
  static constexpr int64_t kTileRows = 256, kTileTokens = 17, kHeadRows = 4;
  static constexpr int64_t kSmallThings = 1 << 20;
  std::map<int64_t, int64_t> layers_;  // layer -> widths
  int64_t expert_ = 0, head_ = 0;
};

int64_t scale_bytes(const StoredMatrix& m) {
  if (m.scales.data == nullptr) return 0;
  int64_t blocks = (m.rows + m.scales.block_rows - 1) / m.scales.block_rows;
  return blocks * m.scales.cols * dtype_bytes(m.scales.dtype);
}

// Of a bound parameter, in the form that a step reads.
int64_t resident_bytes(const Model& model, const Param& param, DType operand) {
  const Weight& w = param.weight;
  if (w.empty()) {  // a source had its parts, or nothing (Param::optional)
    int64_t sum = 0;
    for (const Param* part : param.parts) sum += resident_bytes(model, *part, operand);
    return sum;
  }
  if (param.always_packed || (is_multiplied(model, param) && ops::keeps_panels(operand, w))) {
    return param.size() * dtype_bytes(operand);
  }
  if (!w.stored.empty()) return w.stored.bytes() + scale_bytes(w.stored);
  return w.value.size() * dtype_bytes(w.value.dtype());
}

// The share of a parameter that one token reads.
double share_per_token(const Model& model, const Param& param) {
  if (&param.weight == &model.head()) return 1;
  std::string_view group = tensor_group(model, param);
  if (group == "mtp" || param.role == ParamRole::kTable) return 0;  // tables: ModelCosts
  if (group == "embedding") return 1.0 / static_cast<double>(std::max<int64_t>(param.shape[0], 1));
  if (group != "experts") return 1;
  const Json& config = model.config();
  return config.value("num_experts_per_tok", 1.0) / std::max(config.value("n_routed_experts", 1.0), 1.0);
}

// The number behind `key` in a file of "key number" lines; -1: none.
int64_t named_number(const char* path, const std::string& key) {
  std::ifstream in(path);
  std::string line, word;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    int64_t number = 0;
    if (words >> word && word == key && words >> number) return number;
  }
  return -1;
}

}  // namespace

MemoryPlan plan_memory(const Model& model, const ModelSource& source, std::span<const Binding> bindings,
                       const PlanInput& input) {
  MemoryPlan plan;
  DType operand = input.numerics == Numerics::kBF16x2 ? DType::kBF16 : DType::kF32;
  StepWidths widths;
  for (const auto& [param, tensor] : bindings) {
    Residence residence_of = residence(param->role, tensor->matrix, input.numerics);
    bool multiplied = is_multiplied(model, *param);
    // As ops::keeps_panels() will find it.
    bool packed = param->always_packed || (multiplied && residence_of == Residence::kView &&
                                           dtype_bytes(operand) <= format_block_bytes(tensor->matrix.format));
    if (packed) plan.packed += param->size() * dtype_bytes(operand);
    if (residence_of == Residence::kOwned) {
      plan.owned += param->size() * static_cast<int64_t>(sizeof(float));
    } else {
      plan.mapped += tensor->bytes;
      if (packed && param->role != ParamRole::kEmbedding) plan.for_now += tensor->bytes;
    }
    if (multiplied) widths.add(model, *param, tensor->matrix);
  }
  plan.cache = model.cache_layout().bytes_per_token(operand) * input.context;
  plan.step = widths.bytes(model, input);
  plan.program = kProgram + kPerTensor * static_cast<int64_t>(model.params().by_name().size()) +
                 (source.has_file("tokenizer.json") ? kPerToken * model.vocab_size() : 0);
  return plan;
}

void refuse_too_large(const MemoryPlan& plan, int64_t limit, bool allow_mmap, int64_t context,
                      const std::string& what) {
  if (limit < 0 || plan.needed(allow_mmap) <= limit) return;
  auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  std::string weights = allow_mmap ? "" : fmt::format("{:.0f} weights, ", mib(plan.mapped - plan.for_now));
  std::string text = fmt::format(
      "{}: needs {:.0f} MiB ({}{:.0f} copied weights, {:.0f} packed, {:.0f} cache for {} tokens, {:.0f} per step, "
      "{:.0f} program), "
      "but "
      "{:.0f} MiB are available",
      what, mib(plan.needed(allow_mmap)), weights, mib(plan.owned), mib(plan.packed), mib(plan.cache), context,
      mib(plan.step), mib(plan.program), mib(limit));
  throw Error(ErrorCode::kResource, text,
              plan.needed(true) <= limit
                  ? "free memory, or give --mmap: the weights are then read from the disk again and again, slower"
                  : "give a smaller --ctx or free memory");
}

double decode_weight_bytes(const Model& model, DType operand) {
  double sum = static_cast<double>(model.costs(1).engram_bytes_per_token);
  for (const Param* param : model.params().by_name()) {
    double share = share_per_token(model, *param);
    if (share > 0) sum += share * static_cast<double>(resident_bytes(model, *param, operand));
  }
  return sum;
}

double decode_bytes(const Model& model, DType operand, double position) {
  return decode_weight_bytes(model, operand) +
         position * static_cast<double>(model.cache_layout().bytes_per_token(operand));
}

int64_t available_memory() {
  int64_t machine = named_number("/proc/meminfo", "MemAvailable:");
  if (machine >= 0) machine *= 1024;  // kB
  // A container's limit; the page cache within it can be given back.
  int64_t limit = -1, used = 0;
  if (!(std::ifstream("/sys/fs/cgroup/memory.max") >> limit) ||
      !(std::ifstream("/sys/fs/cgroup/memory.current") >> used)) {
    return machine;
  }
  int64_t cached = std::max<int64_t>(0, named_number("/sys/fs/cgroup/memory.stat", "file"));
  int64_t container = std::max<int64_t>(0, limit - used + cached);
  return machine < 0 ? container : std::min(machine, container);
}

int64_t peak_rss_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace unha
