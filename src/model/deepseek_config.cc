// SPDX-License-Identifier: Apache-2.0
#include "model/deepseek_config.h"

#include <algorithm>

#include "base/error.h"

namespace unha {

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;

Yarn read_yarn(JsonReader& r) {
  Yarn yarn;
  yarn.factor = r.require<double>("factor");
  yarn.original_max_position_embeddings =
      static_cast<double>(r.require_int("original_max_position_embeddings", 1, kMaxSize));
  yarn.beta_fast = r.get("beta_fast", 32.0);
  yarn.beta_slow = r.get("beta_slow", 1.0);
  yarn.mscale = r.get("mscale", 1.0);
  yarn.mscale_all_dim = r.get("mscale_all_dim", 0.0);
  for (const char* key : {"factor", "beta_fast", "beta_slow"}) {
    if (r.has(key) && !(r.require<double>(key) > 0)) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" must be positive, found {}", r.what(), key,
                  r.require<double>(key));
    }
  }
  return yarn;
}

// rope_scaling or rope_parameters. `plain`: the type may also be "default", which scales nothing.
std::optional<Yarn> read_scaling(const Json& json, const std::string& what, const std::string& key, bool plain,
                                 UnknownKeys& unknown) {
  JsonReader r(json, what + " " + key);
  std::string type = plain && !r.has("type") && !r.has("rope_type") ? "default"
                     : r.has("type")                                ? r.require<std::string>("type")
                                                                    : r.require<std::string>("rope_type");
  if (r.has("type") && r.has("rope_type") && r.require<std::string>("rope_type") != type) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"type\" and \"rope_type\" differ", r.what());
  }
  std::optional<Yarn> yarn;
  if (type == "yarn") {
    yarn = read_yarn(r);
  } else if (!plain || type != "default") {
    throw_error(ErrorCode::kUnsupported, "{}: type \"{}\" is not supported, only \"yarn\"", r.what(), type);
  }
  if (plain) r.ignore({"rope_theta"});
  unknown.finish(r, key + ".");
  return yarn;
}

// Both spellings: rope_scaling beside rope_theta, or rope_parameters with both inside.
void read_rope(JsonReader& r, DeepseekConfig& c, UnknownKeys& unknown) {
  c.rope.dim = c.qk_rope_head_dim;
  c.rope.theta = r.get("rope_theta", 10000.0);
  require_value(r, "rope_interleave", true);
  if (has_value(r, "rope_parameters")) {
    const Json& p = r.at("rope_parameters");
    c.rope.yarn = read_scaling(p, r.what(), "rope_parameters", true, unknown);
    JsonReader inside(p, r.what() + " rope_parameters");
    double theta = inside.get("rope_theta", c.rope.theta);
    if (r.has("rope_theta") && theta != c.rope.theta) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"rope_theta\" is {}, inside of \"rope_parameters\" {}", r.what(),
                  c.rope.theta, theta);
    }
    c.rope.theta = theta;
  }
  if (has_value(r, "rope_scaling")) {
    std::optional<Yarn> yarn = read_scaling(r.at("rope_scaling"), r.what(), "rope_scaling", false, unknown);
    if (has_value(r, "rope_parameters") && yarn != c.rope.yarn) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"rope_scaling\" and \"rope_parameters\" differ", r.what());
    }
    c.rope.yarn = yarn;
  }
  if (!(c.rope.theta > 1))
    throw_error(ErrorCode::kInvalidArgument, "{}: \"rope_theta\" must be above 1, found {}", r.what(), c.rope.theta);
}

void read_attention(JsonReader& r, DeepseekConfig& c) {
  c.num_attention_heads = r.require_int("num_attention_heads", 1, 4096);
  if (int64_t kv = r.get_int("num_key_value_heads", c.num_attention_heads, 1, 4096); kv != c.num_attention_heads) {
    throw_error(ErrorCode::kInvalidArgument,
                "{}: \"num_key_value_heads\" must equal \"num_attention_heads\" ({}), found {}", r.what(),
                c.num_attention_heads, kv);
  }
  c.q_lora_rank = has_value(r, "q_lora_rank") ? r.get_int("q_lora_rank", 0, 0, kMaxSize) : 0;
  c.kv_lora_rank = r.require_int("kv_lora_rank", 1, kMaxSize);
  c.qk_nope_head_dim = r.require_int("qk_nope_head_dim", 1, 4096);
  c.qk_rope_head_dim = r.require_int("qk_rope_head_dim", 2, 4096);
  if (c.qk_rope_head_dim % 2 != 0) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"qk_rope_head_dim\" must be even, found {}", r.what(),
                c.qk_rope_head_dim);
  }
  c.v_head_dim = r.require_int("v_head_dim", 1, 4096);
  c.attention_bias = r.get("attention_bias", false);
  int64_t head = c.qk_nope_head_dim + c.qk_rope_head_dim;
  if (int64_t said = r.get_int("qk_head_dim", head, 1, 8192); said != head) {
    throw_error(ErrorCode::kInvalidArgument,
                "{}: \"qk_head_dim\" must be \"qk_nope_head_dim\" + \"qk_rope_head_dim\" ({}), found {}", r.what(),
                head, said);
  }
}

ops::TopK read_topk_method(JsonReader& r, DeepseekRules::Router router) {
  if (router == DeepseekRules::Router::kV3) {
    require_value(r, "topk_method", "noaux_tc");
    return ops::TopK::kNoAuxTc;
  }
  auto name = r.get<std::string>("topk_method", "greedy");
  if (name == "greedy") return ops::TopK::kGreedy;
  if (name == "group_limited_greedy") return ops::TopK::kGroupLimitedGreedy;
  if (name == "noaux_tc") return ops::TopK::kNoAuxTc;
  throw_error(ErrorCode::kUnsupported,
              "{}: \"topk_method\" must be \"greedy\", \"group_limited_greedy\" or \"noaux_tc\", found \"{}\"",
              r.what(), name);
}

ops::Scoring read_scoring(JsonReader& r, DeepseekRules::Router router) {
  if (router == DeepseekRules::Router::kV3) {
    require_value(r, "scoring_func", "sigmoid");
    return ops::Scoring::kSigmoid;
  }
  auto name = r.get<std::string>("scoring_func", "softmax");
  if (name == "softmax") return ops::Scoring::kSoftmax;
  if (name == "sigmoid") return ops::Scoring::kSigmoid;
  throw_error(ErrorCode::kUnsupported, "{}: \"scoring_func\" must be \"softmax\" or \"sigmoid\", found \"{}\"",
              r.what(), name);
}

void read_router(JsonReader& r, DeepseekRules::Router router, DeepseekConfig& c) {
  ops::RouteConfig& route = c.route;
  route.n_routed_experts = c.n_routed_experts;
  route.num_experts_per_tok =
      r.require_int("num_experts_per_tok", 1, std::min(c.n_routed_experts, ops::kMaxExpertsPerToken));
  route.topk = read_topk_method(r, router);
  route.scoring = read_scoring(r, router);
  route.norm_topk_prob = r.get("norm_topk_prob", router == DeepseekRules::Router::kV3);
  route.routed_scaling_factor = r.get("routed_scaling_factor", 1.0);
  int64_t groups =
      has_value(r, "n_group") ? r.require_int("n_group", 1, std::min(c.n_routed_experts, ops::kMaxExpertGroups)) : 1;
  int64_t kept = has_value(r, "topk_group") ? r.require_int("topk_group", 1, groups) : groups;
  if (route.topk == ops::TopK::kGreedy) return;  // groups have no effect
  route.n_group = groups;
  route.topk_group = kept;
  if (c.n_routed_experts % groups != 0) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"n_group\" {} does not divide \"n_routed_experts\" {}", r.what(),
                groups, c.n_routed_experts);
  }
  if (kept * (c.n_routed_experts / groups) < route.num_experts_per_tok) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"topk_group\" {} of {} groups leaves fewer than {} experts",
                r.what(), kept, groups, route.num_experts_per_tok);
  }
}

void read_experts(JsonReader& r, DeepseekRules::Router router, DeepseekConfig& c) {
  c.intermediate_size = r.require_int("intermediate_size", 1, kMaxSize);
  c.n_routed_experts = has_value(r, "n_routed_experts") ? r.require_int("n_routed_experts", 0, 65536) : 0;
  c.first_k_dense_replace = r.get_int("first_k_dense_replace", 0, 0, 100000);
  c.moe_layer_freq = r.get_int("moe_layer_freq", 1, 1, 100000);
  require_value(r, "mlp_bias", false);
  if (c.n_routed_experts == 0) {
    r.ignore({"moe_intermediate_size", "n_shared_experts", "num_experts_per_tok", "n_group", "topk_group",
              "topk_method", "scoring_func", "norm_topk_prob", "routed_scaling_factor"});
    return;
  }
  c.moe_intermediate_size = r.require_int("moe_intermediate_size", 1, kMaxSize);
  c.n_shared_experts = has_value(r, "n_shared_experts") ? r.require_int("n_shared_experts", 0, 4096) : 0;
  read_router(r, router, c);
}

void read_index(JsonReader& r, DeepseekConfig& c) {
  IndexConfig index;
  index.n_heads = r.require_int("index_n_heads", 1, 4096);
  index.head_dim = r.require_int("index_head_dim", c.qk_rope_head_dim, 4096);
  index.topk = r.require_int("index_topk", 1, kMaxSize);
  require_value(r, "indexer_rope_interleave", false);
  if (c.q_lora_rank == 0) {
    throw_error(ErrorCode::kUnsupported, "{}: \"q_lora_rank\" must be positive: the indexer reads the query latent",
                r.what());
  }
  c.index = index;
}

// The block size is read by who reads the weights (hf_source.cc); activations are never quantised here.
void read_quantization(JsonReader& r, UnknownKeys& unknown) {
  if (!has_value(r, "quantization_config")) return;
  JsonReader q(r.at("quantization_config"), r.what() + " quantization_config");
  if (q.require<std::string>("quant_method") != "fp8") require_value(q, "quant_method", "fp8");
  require_value(q, "fmt", "e4m3");
  require_value(q, "activation_scheme", "dynamic");
  if (has_value(q, "scale_fmt")) require_value(q, "scale_fmt", "ue8m0");
  if (has_value(q, "weight_block_size")) {
    const Json& block = q.at("weight_block_size");
    bool good = block.is_array() && block.size() == 2;
    for (const Json& n : block) good = good && n.is_number_integer() && n.get<int64_t>() > 0;
    if (!good) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"weight_block_size\" must be two positive integers, found {}",
                  q.what(), block.dump());
    }
  }
  q.ignore({"modules_to_not_convert"});  // a tensor's type in the file says it
  unknown.finish(q, "quantization_config.");
}

// As transformers 5 spells them out: nothing that the other keys do not say.
void check_layer_types(JsonReader& r, const DeepseekConfig& c) {
  std::vector<std::string> attention, mlp;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    attention.emplace_back(c.index ? "indexed_attention" : "full_attention");
    mlp.emplace_back(c.is_moe(i) ? "sparse" : "dense");
  }
  require_per_layer(r, "layer_types", attention);
  require_per_layer(r, "mlp_layer_types", mlp);
}

void read_engram(JsonReader& r, DeepseekConfig& c) {
  if (!has_value(r, "engram")) return;
  EngramConfig e = parse_engram_config(r.at("engram"), r.what() + " engram");
  if (e.hidden_size != c.hidden_size) {
    throw_error(ErrorCode::kInvalidArgument, "{} engram: \"hidden_size\" must equal the model's {}, found {}", r.what(),
                c.hidden_size, e.hidden_size);
  }
  if (e.hc_mult != 1) {
    throw_error(ErrorCode::kUnsupported, "{} engram: \"hc_mult\" must be 1 in a deepseek_v3 model, found {}", r.what(),
                e.hc_mult);
  }
  for (int64_t layer : e.layer_ids) {
    if (layer < 0 || layer >= c.num_hidden_layers) {
      throw_error(ErrorCode::kInvalidArgument, "{} engram: layer {} is not within 0 and {}", r.what(), layer,
                  c.num_hidden_layers - 1);
    }
  }
  c.engram = std::move(e);
}

int64_t token_id(JsonReader& r, const char* key, int64_t vocab) {
  return has_value(r, key) ? r.require_int(key, 0, vocab - 1) : -1;
}

}  // namespace

DeepseekConfig parse_deepseek_config(const Json& config, const std::string& what, const DeepseekRules& rules,
                                     UnknownKeys* unknown) {
  UnknownKeys refuse;
  UnknownKeys& rest = unknown != nullptr ? *unknown : refuse;
  JsonReader r(config, what);
  DeepseekConfig c;
  ignore_housekeeping(r);
  r.ignore(rules.without_effect);
  require_value(r, "hidden_act", "silu");
  c.hidden_size = r.require_int("hidden_size", 1, kMaxSize);
  c.num_hidden_layers = r.require_int("num_hidden_layers", 1, 100000);
  c.vocab_size = r.require_int("vocab_size", 1, kMaxSize);
  c.max_position_embeddings = r.require_int("max_position_embeddings", 1, kMaxSize);
  c.bos_token_id = token_id(r, "bos_token_id", c.vocab_size);
  c.eos_token_id = token_id(r, "eos_token_id", c.vocab_size);
  c.rms_norm_eps = r.get("rms_norm_eps", 1e-6);
  if (!(c.rms_norm_eps > 0)) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"rms_norm_eps\" must be positive, found {}", what, c.rms_norm_eps);
  }
  c.tie_word_embeddings = r.get("tie_word_embeddings", false);
  c.num_nextn_predict_layers =
      has_value(r, "num_nextn_predict_layers") ? r.require_int("num_nextn_predict_layers", 0, 16) : 0;
  read_attention(r, c);
  read_rope(r, c, rest);
  read_experts(r, rules.router, c);
  if (rules.indexer) read_index(r, c);
  check_layer_types(r, c);
  if (rules.engram) read_engram(r, c);
  read_quantization(r, rest);
  rest.finish(r);
  return c;
}

}  // namespace unha
