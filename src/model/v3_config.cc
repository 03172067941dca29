// SPDX-License-Identifier: Apache-2.0
#include "model/v3_config.h"

#include <algorithm>

#include "base/error.h"

namespace unha {

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;

// Released config.json files carry these; they do not touch the forward.
constexpr std::initializer_list<const char*> kWithoutEffect = {"architectures",
                                                               "attention_dropout",
                                                               "auto_map",
                                                               "aux_loss_alpha",
                                                               "dtype",
                                                               "ep_size",
                                                               "head_dim",
                                                               "initializer_range",
                                                               "pad_token_id",
                                                               "pretraining_tp",
                                                               "seq_aux",
                                                               "torch_dtype",
                                                               "transformers_version",
                                                               "use_cache",
                                                               "unha_numerics",
                                                               "model_type"};

void require_value(JsonReader& r, const std::string& key, const char* value) {
  if (!r.has(key)) return;
  auto found = r.require<std::string>(key);
  if (found != value) {
    throw_error(ErrorCode::kUnsupported, "{}: \"{}\" must be \"{}\", found \"{}\"", r.what(), key, value, found);
  }
}

Yarn read_yarn(const Json& json, const std::string& what, bool theta_inside) {
  JsonReader r(json, what);
  std::string type = r.has("type") ? r.require<std::string>("type") : r.require<std::string>("rope_type");
  if (r.has("type") && r.has("rope_type") && r.require<std::string>("rope_type") != type) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"type\" and \"rope_type\" differ", what);
  }
  if (type != "yarn")
    throw_error(ErrorCode::kUnsupported, "{}: type \"{}\" is not supported, only \"yarn\"", what, type);
  Yarn yarn;
  yarn.factor = r.require<double>("factor");
  yarn.original_max_position_embeddings =
      static_cast<double>(r.require_int("original_max_position_embeddings", 1, kMaxSize));
  yarn.beta_fast = r.get("beta_fast", 32.0);
  yarn.beta_slow = r.get("beta_slow", 1.0);
  yarn.mscale = r.get("mscale", 1.0);
  yarn.mscale_all_dim = r.get("mscale_all_dim", 0.0);
  if (theta_inside) r.ignore({"rope_theta"});
  r.finish();
  if (!(yarn.factor > 0))
    throw_error(ErrorCode::kInvalidArgument, "{}: \"factor\" must be positive, found {}", what, yarn.factor);
  return yarn;
}

// Both spellings: rope_scaling beside rope_theta, or rope_parameters with both
// inside.
void read_rope(JsonReader& r, V3Config& c) {
  c.rope.dim = c.qk_rope_head_dim;
  c.rope.theta = r.get("rope_theta", 10000.0);
  if (r.has("rope_interleave") && !r.require<bool>("rope_interleave")) {
    throw_error(ErrorCode::kUnsupported, "{}: \"rope_interleave\" must be true", r.what());
  }
  if (r.has("rope_parameters") && !r.at("rope_parameters").is_null()) {
    const Json& p = r.at("rope_parameters");
    if (p.is_object() && p.contains("rope_theta") && p["rope_theta"].is_number())
      c.rope.theta = p["rope_theta"].get<double>();
    bool plain = p.is_object() && p.value("rope_type", std::string("default")) == "default";
    if (!plain) c.rope.yarn = read_yarn(p, r.what() + " rope_parameters", true);
  }
  if (r.has("rope_scaling") && !r.at("rope_scaling").is_null()) {
    c.rope.yarn = read_yarn(r.at("rope_scaling"), r.what() + " rope_scaling", false);
  }
  if (!(c.rope.theta > 1))
    throw_error(ErrorCode::kInvalidArgument, "{}: \"rope_theta\" must be above 1, found {}", r.what(), c.rope.theta);
}

void read_attention(JsonReader& r, V3Config& c) {
  c.num_attention_heads = r.require_int("num_attention_heads", 1, 4096);
  if (int64_t kv = r.get_int("num_key_value_heads", c.num_attention_heads, 1, 4096); kv != c.num_attention_heads) {
    throw_error(ErrorCode::kInvalidArgument,
                "{}: \"num_key_value_heads\" must equal "
                "\"num_attention_heads\" ({}), found {}",
                r.what(), c.num_attention_heads, kv);
  }
  if (r.has("q_lora_rank") && r.at("q_lora_rank").is_null()) {
    c.q_lora_rank = 0;
  } else {
    c.q_lora_rank = r.get_int("q_lora_rank", 0, 0, kMaxSize);
  }
  c.kv_lora_rank = r.require_int("kv_lora_rank", 1, kMaxSize);
  c.qk_nope_head_dim = r.require_int("qk_nope_head_dim", 1, 4096);
  c.qk_rope_head_dim = r.require_int("qk_rope_head_dim", 2, 4096);
  if (c.qk_rope_head_dim % 2 != 0) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"qk_rope_head_dim\" must be even, found {}", r.what(),
                c.qk_rope_head_dim);
  }
  c.v_head_dim = r.require_int("v_head_dim", 1, 4096);
  c.attention_bias = r.get("attention_bias", false);
}

void read_experts(JsonReader& r, V3Config& c) {
  c.intermediate_size = r.require_int("intermediate_size", 1, kMaxSize);
  c.n_routed_experts =
      r.has("n_routed_experts") && r.at("n_routed_experts").is_null() ? 0 : r.get_int("n_routed_experts", 0, 0, 65536);
  c.first_k_dense_replace = r.get_int("first_k_dense_replace", 0, 0, 100000);
  c.moe_layer_freq = r.get_int("moe_layer_freq", 1, 1, 100000);
  if (c.n_routed_experts == 0) {
    r.ignore({"moe_intermediate_size", "n_shared_experts", "num_experts_per_tok", "n_group", "topk_group",
              "topk_method", "scoring_func", "norm_topk_prob", "routed_scaling_factor"});
    return;
  }
  c.moe_intermediate_size = r.require_int("moe_intermediate_size", 1, kMaxSize);
  c.n_shared_experts =
      r.has("n_shared_experts") && r.at("n_shared_experts").is_null() ? 0 : r.get_int("n_shared_experts", 0, 0, 4096);
  ops::RouteConfig& route = c.route;
  route.n_routed_experts = c.n_routed_experts;
  route.num_experts_per_tok =
      r.require_int("num_experts_per_tok", 1, std::min(c.n_routed_experts, ops::kMaxExpertsPerToken));
  route.n_group = r.get_int("n_group", 1, 1, std::min(c.n_routed_experts, ops::kMaxExpertGroups));
  route.topk_group = r.get_int("topk_group", 1, 1, route.n_group);
  require_value(r, "topk_method", "noaux_tc");
  require_value(r, "scoring_func", "sigmoid");
  route.scoring = ops::Scoring::kSigmoid;
  route.topk = ops::TopK::kNoAuxTc;
  route.norm_topk_prob = r.get("norm_topk_prob", true);
  route.routed_scaling_factor = r.get("routed_scaling_factor", 1.0);
  if (c.n_routed_experts % route.n_group != 0) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"n_group\" {} does not divide \"n_routed_experts\" {}", r.what(),
                route.n_group, c.n_routed_experts);
  }
  if (route.topk_group * (c.n_routed_experts / route.n_group) < route.num_experts_per_tok) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"topk_group\" {} of {} groups leaves fewer than {} experts",
                r.what(), route.topk_group, route.n_group, route.num_experts_per_tok);
  }
}

void read_engram(JsonReader& r, V3Config& c) {
  if (!r.has("engram") || r.at("engram").is_null()) return;
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

}  // namespace

V3Config parse_v3_config(const Json& config, const std::string& what) {
  JsonReader r(config, what);
  V3Config c;
  r.ignore(kWithoutEffect);
  require_value(r, "hidden_act", "silu");
  c.hidden_size = r.require_int("hidden_size", 1, kMaxSize);
  c.num_hidden_layers = r.require_int("num_hidden_layers", 1, 100000);
  c.vocab_size = r.require_int("vocab_size", 1, kMaxSize);
  c.max_position_embeddings = r.require_int("max_position_embeddings", 1, kMaxSize);
  c.bos_token_id = r.get_int("bos_token_id", -1, 0, c.vocab_size - 1);
  c.eos_token_id = r.get_int("eos_token_id", -1, 0, c.vocab_size - 1);
  c.rms_norm_eps = r.get("rms_norm_eps", 1e-6);
  if (!(c.rms_norm_eps > 0)) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"rms_norm_eps\" must be positive, found {}", what, c.rms_norm_eps);
  }
  c.tie_word_embeddings = r.get("tie_word_embeddings", false);
  c.num_nextn_predict_layers = r.get_int("num_nextn_predict_layers", 0, 0, 16);
  read_attention(r, c);
  read_rope(r, c);
  read_experts(r, c);
  read_engram(r, c);
  r.finish();
  return c;
}

}  // namespace unha
