// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_config.h"

#include <set>
#include <utility>

#include "base/error.h"

namespace unha {

namespace {
constexpr int64_t kMaxSize = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 100000;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxExperts = 65536;

// The keys of the architecture's prefix; those that were asked for count as known.
class Keys {
 public:
  explicit Keys(const GgufModel& model) : m_(model.metadata()), prefix_(model.architecture + ".") {}

  bool has(const std::string& key) { return m_.has(known(key)); }
  int64_t require_int(const std::string& key, int64_t low, int64_t high) {
    return m_.require_int(known(key), low, high);
  }
  int64_t get_int(const std::string& key, int64_t fallback, int64_t low, int64_t high) {
    return m_.get_int(known(key), fallback, low, high);
  }
  double get_float(const std::string& key, double fallback) { return m_.get_float(known(key), fallback); }
  bool get_bool(const std::string& key, bool fallback) { return m_.get_bool(known(key), fallback); }
  std::string get_string(const std::string& key, const std::string& fallback) {
    return has(key) ? m_.require_string(known(key)) : fallback;
  }
  double require_positive(const std::string& key) {
    double value = m_.require_float(known(key));
    if (!(value > 0)) fail(key, fmt::format("must be positive, found {}", value));
    return value;
  }
  // A key that may be there with one value only.
  void only_int(const std::string& key, int64_t value) {
    if (get_int(key, value, INT64_MIN, INT64_MAX) != value)
      unsupported(key, fmt::format("only {} is supported", value));
  }
  void only_float(const std::string& key, double value) {
    if (get_float(key, value) != value) unsupported(key, fmt::format("only {} is supported", value));
  }
  void ignore(std::initializer_list<const char*> keys) {
    for (const char* key : keys) known(key);
  }
  [[noreturn]] void fail(const std::string& key, const std::string& problem) const { m_.fail(prefix_ + key, problem); }
  [[noreturn]] void unsupported(const std::string& key, const std::string& problem) const {
    throw_error(ErrorCode::kUnsupported, "{}: key \"{}{}\": {}", m_.file(), prefix_, key, problem);
  }

  void add_unknown(Json& config) const {
    for (const auto& [key, value] : m_.values()) {
      if (key.starts_with(prefix_) && !asked_.contains(key)) config[key] = gguf_type_name(value.type);
    }
  }

 private:
  std::string known(const std::string& key) {
    std::string full = prefix_ + key;
    asked_.insert(full);
    return full;
  }

  const GgufMetadata& m_;
  std::string prefix_;
  std::set<std::string> asked_;
};

// Of a tensor that every model has; `dims` of them.
const GgufTensor& require_tensor(const GgufModel& model, const std::string& name, size_t dims) {
  const GgufTensor* tensor = model.find(name);
  if (tensor == nullptr) throw_error(ErrorCode::kCorrupt, "{}: tensor \"{}\" is missing", model.path, name);
  if (tensor->shape.size() != dims) {
    throw_error(ErrorCode::kCorrupt, "{}: tensor \"{}\": expected {} dimensions, found {}", model.path, name, dims,
                tensor->shape.size());
  }
  return *tensor;
}

std::string block_tensor(int64_t layer, const char* name) { return fmt::format("blk.{}.{}", layer, name); }

// A count of blocks that the file does not hold would cost memory before the missing tensors are named.
int64_t read_layers(Keys& keys, const GgufModel& model) {
  int64_t layers = keys.require_int("block_count", 1, kMaxLayers);
  for (int64_t i = 0; i < layers; ++i) {
    std::string norm = block_tensor(i, "attn_norm.weight");
    if (model.find(norm) == nullptr) {
      keys.fail("block_count", fmt::format("it says {}, but tensor \"{}\" is not there", layers, norm));
    }
  }
  return layers;
}

void read_token_ids(const GgufModel& model, int64_t vocab_size, Json& config) {
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    std::string full = std::string("tokenizer.ggml.") + key;
    if (model.metadata().has(full)) config[key] = model.metadata().require_int(full, 0, vocab_size - 1);
  }
}

void read_common(Keys& keys, const GgufModel& model, Json& config) {
  config["num_hidden_layers"] = read_layers(keys, model);
  config["hidden_size"] = keys.require_int("embedding_length", 1, kMaxSize);
  config["intermediate_size"] = keys.require_int("feed_forward_length", 1, kMaxSize);
  config["max_position_embeddings"] = keys.require_int("context_length", 1, kMaxSize);
  config["num_attention_heads"] = keys.require_int("attention.head_count", 1, kMaxHeads);
  config["rms_norm_eps"] = keys.require_positive("attention.layer_norm_rms_epsilon");
  config["rope_theta"] = keys.get_float("rope.freq_base", 10000);
  if (!(config["rope_theta"] > 1)) {
    keys.fail("rope.freq_base", fmt::format("must be above 1, found {}", config["rope_theta"].get<double>()));
  }
  int64_t rows = require_tensor(model, "token_embd.weight", 2).shape[0];
  if (int64_t said = keys.get_int("vocab_size", rows, 0, INT64_MAX); said != rows) {
    keys.fail("vocab_size", fmt::format("it says {}, tensor \"token_embd.weight\" has {} rows", said, rows));
  }
  config["vocab_size"] = rows;
  config["tie_word_embeddings"] = model.find("output.weight") == nullptr;
  read_token_ids(model, rows, config);
  config["hidden_act"] = "silu";
  keys.ignore({"tensor_data_layout", "rope.scaling.finetuned"});
  if (!keys.get_bool("attention.causal", true)) keys.unsupported("attention.causal", "only true is supported");
  if (keys.get_bool("use_parallel_residual", false))
    keys.unsupported("use_parallel_residual", "only false is supported");
  keys.only_float("rope.scale_linear", 1);
}

// {"type": "yarn", ...}, or null. What belongs to one architecture alone is the caller's.
Json read_scaling(Keys& keys, const Json& config) {
  double factor = keys.get_float("rope.scaling.factor", 1);
  auto type = keys.get_string("rope.scaling.type", factor == 1 || factor == 0 ? "none" : "linear");
  Json scaling;
  if (type == "yarn") {
    if (!(factor > 0)) keys.fail("rope.scaling.factor", fmt::format("must be positive, found {}", factor));
    scaling = {{"type", "yarn"}, {"factor", factor}};
  } else if (type != "none" && !(type == "linear" && (factor == 1 || factor == 0))) {
    keys.unsupported("rope.scaling.type", fmt::format("\"{}\" is not supported, only \"yarn\" and \"none\"", type));
  }
  int64_t original = keys.get_int("rope.scaling.original_context_length",
                                  config["max_position_embeddings"].get<int64_t>(), 1, kMaxSize);
  double fast = keys.get_float("rope.scaling.yarn_beta_fast", 32);
  double slow = keys.get_float("rope.scaling.yarn_beta_slow", 1);
  keys.only_float("rope.scaling.yarn_ext_factor", 1);
  if (scaling.is_null()) return scaling;
  scaling["original_max_position_embeddings"] = original;
  scaling["beta_fast"] = fast;
  scaling["beta_slow"] = slow;
  return scaling;
}

void read_dense_heads(Keys& keys, Json& config) {
  auto heads = config["num_attention_heads"].get<int64_t>(), hidden = config["hidden_size"].get<int64_t>();
  int64_t kv = keys.get_int("attention.head_count_kv", heads, 1, heads);
  if (heads % kv != 0) keys.fail("attention.head_count_kv", fmt::format("{} does not divide head_count {}", kv, heads));
  if (!keys.has("attention.key_length") && hidden % heads != 0) {
    keys.fail("attention.head_count", fmt::format("{} does not divide embedding_length {}", heads, hidden));
  }
  int64_t head = keys.get_int("attention.key_length", hidden / heads, 1, 4096);
  for (const char* key : {"attention.value_length", "rope.dimension_count"}) {
    int64_t found = keys.get_int(key, head, 0, INT64_MAX);
    if (found != head)
      keys.unsupported(key, fmt::format("only the head's width, {}, is supported, found {}", head, found));
  }
  config["num_key_value_heads"] = kv;
  config["head_dim"] = head;
  int64_t window = keys.get_int("attention.sliding_window", 0, 0, INT64_MAX);
  if (window != 0 && window < config["max_position_embeddings"].get<int64_t>()) {
    keys.unsupported("attention.sliding_window", fmt::format("a window of {} is not supported", window));
  }
  keys.only_int("expert_count", 0);
  keys.only_int("expert_used_count", 0);
}

Json dense_config(Keys& keys, const GgufModel& model) {
  Json config = {{"model_type", model.architecture}};
  read_common(keys, model, config);
  read_dense_heads(keys, config);
  Json scaling = read_scaling(keys, config);
  for (const char* key : {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"}) {
    double factor = keys.get_float(key, 1);
    if (!scaling.is_null() && factor != 1) scaling["attn_factor"] = factor;
  }
  config["rope_scaling"] = scaling;
  if (model.arch == GgufArch::kLlama) {
    config["rope_interleave"] = true;  // the converter puts rows of q and k in the order of adjacent pairs
    config["attention_bias"] = model.find(block_tensor(0, "attn_q.bias")) != nullptr;
  }
  return config;
}

// Widths of the heads: in the present layout key_length is that of the latent, and the heads' own ends in _mla.
void read_mla(Keys& keys, const GgufModel& model, Json& config) {
  auto heads = config["num_attention_heads"].get<int64_t>();
  int64_t kv = keys.get_int("attention.head_count_kv", heads, 1, kMaxHeads);
  if (kv != 1 && kv != heads) {
    keys.fail("attention.head_count_kv", fmt::format("expected 1 or head_count ({}), found {}", heads, kv));
  }
  int64_t latent = keys.require_int("attention.kv_lora_rank", 1, kMaxSize);
  int64_t rope = keys.require_int("rope.dimension_count", 2, kMaxHeads);
  bool mla = keys.has("attention.key_length_mla");
  int64_t key = keys.require_int(mla ? "attention.key_length_mla" : "attention.key_length", rope + 1, 2 * kMaxHeads);
  if (mla && keys.get_int("attention.key_length", latent + rope, 0, INT64_MAX) != latent + rope) {
    keys.fail("attention.key_length", fmt::format("expected kv_lora_rank + rope.dimension_count = {}", latent + rope));
  }
  bool value_mla = keys.has("attention.value_length_mla");
  int64_t value = keys.require_int(value_mla ? "attention.value_length_mla" : "attention.value_length", 1, kMaxHeads);
  keys.ignore({"attention.value_length"});
  int64_t q_rank = keys.get_int("attention.q_lora_rank", 0, 0, kMaxSize);
  if (model.find(block_tensor(0, "attn_q.weight")) != nullptr) {
    q_rank = 0;  // V2-Lite, whatever the key says
  } else if (q_rank == 0) {
    q_rank = require_tensor(model, block_tensor(0, "attn_q_a.weight"), 2).shape[0];
  }
  config["num_key_value_heads"] = heads;
  config["q_lora_rank"] = q_rank != 0 ? Json(q_rank) : Json();
  config["kv_lora_rank"] = latent;
  config["qk_nope_head_dim"] = key - rope;
  config["qk_rope_head_dim"] = rope;
  config["v_head_dim"] = value;
}

// The tensor `name` of the first block that has one; nullptr: none has.
const GgufTensor* first_of(const GgufModel& model, int64_t layers, const char* name) {
  for (int64_t i = 0; i < layers; ++i) {
    if (const GgufTensor* tensor = model.find(block_tensor(i, name))) return tensor;
  }
  return nullptr;
}

// How experts are chosen. The file states neither topk_method nor, if it is old, groups and gating function.
void read_router(Keys& keys, int64_t experts, bool biased, Json& config) {
  constexpr int64_t kSoftmax = 1, kSigmoid = 2;
  int64_t gate = keys.get_int("expert_gating_func", 0, 0, INT64_MAX);
  if (gate == 0) gate = biased ? kSigmoid : kSoftmax;
  if (gate != kSoftmax && gate != kSigmoid) {
    keys.unsupported("expert_gating_func", fmt::format("{} is not supported, only 1 (softmax) and 2 (sigmoid)", gate));
  }
  bool sigmoid = gate == kSigmoid;
  // Old files of the models that have groups: known by the number of their experts.
  int64_t groups = 1, kept = 1;
  if (sigmoid && experts == 256) groups = 8, kept = 4;
  if (!sigmoid && experts == 160) groups = 8, kept = 3;
  groups = std::max<int64_t>(1, keys.get_int("expert_group_count", groups, 0, experts));
  kept = std::max<int64_t>(1, keys.get_int("expert_group_used_count", std::min(kept, groups), 0, groups));
  double scale = keys.get_float("expert_weights_scale", 1);
  config["model_type"] = sigmoid ? "deepseek_v3" : "deepseek_v2";
  config["scoring_func"] = sigmoid ? "sigmoid" : "softmax";
  config["topk_method"] = sigmoid || biased ? "noaux_tc" : groups > 1 ? "group_limited_greedy" : "greedy";
  config["n_group"] = groups;
  config["topk_group"] = kept;
  config["norm_topk_prob"] = keys.get_bool("expert_weights_norm", false);
  config["routed_scaling_factor"] = scale == 0 ? 1 : scale;
}

// As with blocks: experts that the file does not hold are refused before anything is made for them.
void check_expert_count(Keys& keys, const GgufModel& model, int64_t experts, int64_t dense, int64_t layers) {
  for (int64_t i = 0; i < layers; ++i) {
    std::string name = block_tensor(i, "ffn_gate_exps.weight");
    const GgufTensor* stacked = model.find(name);
    int64_t found = stacked != nullptr && !stacked->shape.empty() ? stacked->shape[0] : 0;
    if (found == (i < dense ? 0 : experts)) continue;
    keys.fail(i < dense ? "leading_dense_block_count" : "expert_count",
              fmt::format("it says {}, tensor \"{}\" has {} experts", i < dense ? dense : experts, name, found));
  }
}

void read_experts(Keys& keys, const GgufModel& model, Json& config) {
  config["model_type"] = "deepseek_v2";
  int64_t layers = config["num_hidden_layers"].get<int64_t>() + config["num_nextn_predict_layers"].get<int64_t>();
  int64_t experts = keys.get_int("expert_count", 0, 0, kMaxExperts);
  int64_t dense = keys.get_int("leading_dense_block_count", 0, 0, kMaxLayers);
  check_expert_count(keys, model, experts, dense, layers);
  if (experts == 0) {
    keys.ignore({"expert_used_count", "expert_shared_count", "expert_feed_forward_length", "expert_gating_func",
                 "expert_group_count", "expert_group_used_count", "expert_weights_norm", "expert_weights_scale"});
    return;
  }
  bool shared = first_of(model, layers, "ffn_gate_shexp.weight") != nullptr;
  config["n_routed_experts"] = experts;
  config["num_experts_per_tok"] = keys.require_int("expert_used_count", 1, experts);
  config["n_shared_experts"] = shared ? keys.require_int("expert_shared_count", 1, kMaxHeads)
                                      : keys.get_int("expert_shared_count", 0, 0, kMaxHeads);
  config["moe_intermediate_size"] = keys.require_int("expert_feed_forward_length", 1, kMaxSize);
  config["first_k_dense_replace"] = dense;
  read_router(keys, experts, first_of(model, layers, "exp_probs_b.bias") != nullptr, config);
}

Json deepseek_config(Keys& keys, const GgufModel& model) {
  Json config;
  read_common(keys, model, config);
  // The last blocks may be modules that predict further tokens.
  auto layers = config["num_hidden_layers"].get<int64_t>();
  int64_t mtp = keys.get_int("nextn_predict_layers", 0, 0, layers - 1);
  config["num_hidden_layers"] = layers - mtp;
  config["num_nextn_predict_layers"] = mtp;
  read_mla(keys, model, config);
  read_experts(keys, model, config);
  Json scaling = read_scaling(keys, config);
  double log_multiplier = keys.get_float("rope.scaling.yarn_log_multiplier", 0);
  keys.only_float("rope.scaling.attn_factor", 1);
  keys.only_float("rope.scaling.yarn_attn_factor", 1);
  if (!scaling.is_null()) {
    scaling["mscale"] = log_multiplier * 10;  // the key holds 0.1 mscale_all_dim; the two are taken to be equal
    scaling["mscale_all_dim"] = log_multiplier * 10;
  }
  config["rope_scaling"] = scaling;
  return config;
}
}  // namespace

Json gguf_config(const GgufModel& model) {
  Keys keys(model);
  Json config = model.arch == GgufArch::kDeepseek2 ? deepseek_config(keys, model) : dense_config(keys, model);
  keys.add_unknown(config);
  return config;
}

}  // namespace unha
