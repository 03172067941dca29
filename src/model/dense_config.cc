// SPDX-License-Identifier: Apache-2.0
#include "model/dense_config.h"

#include "base/error.h"

namespace unha {

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;

// Released files carry these beside what every one does (ignore_housekeeping); they do not touch the forward.
constexpr std::initializer_list<const char*> kWithoutEffect = {"is_llama_config", "transformers.js_config"};

void require_positive(const JsonReader& r, const char* key, double value) {
  if (value > 0) return;
  throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" must be positive, found {}", r.what(), key, value);
}

// RoPE scaling of type "yarn" without mscale. `attn_factor` (R1-0528-Qwen3-8B) multiplies the amplitude that follows
// from the factor, which makes it 1 there; `attention_factor` replaces it.
Yarn read_yarn(JsonReader& r, int64_t max_positions) {
  Yarn yarn;
  yarn.factor = r.require<double>("factor");
  yarn.original_max_position_embeddings =
      static_cast<double>(r.get_int("original_max_position_embeddings", max_positions, 1, kMaxSize));
  yarn.beta_fast = r.get("beta_fast", 32.0);
  yarn.beta_slow = r.get("beta_slow", 1.0);
  require_value(r, "truncate", true);
  if (has_value(r, "attention_factor")) yarn.attention_factor = r.require<double>("attention_factor");
  if (has_value(r, "attn_factor")) {
    if (yarn.attention_factor) {
      throw_error(ErrorCode::kInvalidArgument, "{}: both \"attention_factor\" and \"attn_factor\"", r.what());
    }
    yarn.attention_factor = r.require<double>("attn_factor") * yarn_magnitude(yarn.factor, 1);
  }
  require_positive(r, "factor", yarn.factor);
  return yarn;
}

Llama3Rope read_llama3(JsonReader& r) {
  Llama3Rope scaling;
  scaling.factor = r.require<double>("factor");
  scaling.low_freq_factor = r.require<double>("low_freq_factor");
  scaling.high_freq_factor = r.require<double>("high_freq_factor");
  scaling.original_max_position_embeddings =
      static_cast<double>(r.require_int("original_max_position_embeddings", 1, kMaxSize));
  require_positive(r, "factor", scaling.factor);
  require_positive(r, "low_freq_factor", scaling.low_freq_factor);
  if (!(scaling.high_freq_factor > scaling.low_freq_factor)) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"high_freq_factor\" {} must be above \"low_freq_factor\" {}",
                r.what(), scaling.high_freq_factor, scaling.low_freq_factor);
  }
  return scaling;
}

// rope_scaling, or rope_parameters, which holds rope_theta too.
void read_scaling(JsonReader& config, const std::string& key, UnknownKeys& unknown, DenseConfig& c) {
  if (!has_value(config, key)) return;
  std::string what = config.what() + " " + key;
  JsonReader r(config.at(key), what);
  std::string type = r.has("rope_type") ? r.require<std::string>("rope_type") : r.get("type", std::string("default"));
  if (r.has("type") && r.require<std::string>("type") != type) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"type\" and \"rope_type\" differ", what);
  }
  c.rope.theta = r.get("rope_theta", c.rope.theta);
  if (type == "llama3") {
    c.rope.llama3 = read_llama3(r);
  } else if (type == "yarn") {
    c.rope.yarn = read_yarn(r, c.max_position_embeddings);
  } else if (type != "default") {
    throw_error(ErrorCode::kUnsupported, "{}: \"rope_type\" \"{}\" is not supported; known: \"llama3\", \"yarn\"", what,
                type);
  }
  unknown.finish(r, key + ".");
}

void read_rope(JsonReader& r, UnknownKeys& unknown, DenseConfig& c) {
  c.rope.dim = c.head_dim;
  c.rope.pairing = r.get("rope_interleave", false) ? Pairing::kAdjacent : Pairing::kHalfSplit;
  require_value(r, "rope_interleaved", false);  // of another trainer, with weights of its own layout
  if (has_value(r, "partial_rotary_factor") && r.require<double>("partial_rotary_factor") != 1) {
    throw_error(ErrorCode::kUnsupported, "{}: \"partial_rotary_factor\" must be 1", r.what());
  }
  if (has_value(r, "rope_theta")) c.rope.theta = r.require<double>("rope_theta");
  read_scaling(r, "rope_parameters", unknown, c);
  read_scaling(r, "rope_scaling", unknown, c);
  if (!(c.rope.theta > 1)) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"rope_theta\" must be above 1, found {}", r.what(), c.rope.theta);
  }
}

void read_heads(JsonReader& r, HeadDim default_head_dim, DenseConfig& c) {
  c.num_attention_heads = r.require_int("num_attention_heads", 1, 4096);
  c.num_key_value_heads = has_value(r, "num_key_value_heads")
                              ? r.require_int("num_key_value_heads", 1, c.num_attention_heads)
                              : c.num_attention_heads;
  if (c.num_attention_heads % c.num_key_value_heads != 0) {
    throw_error(ErrorCode::kInvalidArgument,
                "{}: \"num_key_value_heads\" {} does not divide \"num_attention_heads\" {}", r.what(),
                c.num_key_value_heads, c.num_attention_heads);
  }
  if (has_value(r, "head_dim")) {
    c.head_dim = r.require_int("head_dim", 2, 4096);
  } else if (default_head_dim == HeadDim::k128) {
    c.head_dim = 128;
  } else {
    c.head_dim = c.hidden_size / c.num_attention_heads;
    if (c.hidden_size % c.num_attention_heads != 0) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"num_attention_heads\" {} does not divide \"hidden_size\" {}",
                  r.what(), c.num_attention_heads, c.hidden_size);
    }
  }
  if (c.head_dim % 2 != 0) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"head_dim\" must be even, found {}", r.what(), c.head_dim);
  }
}

// One id, a list of ids, or null.
std::vector<int64_t> read_eos(JsonReader& r, int64_t vocab_size) {
  if (!has_value(r, "eos_token_id")) return {};
  const Json& json = r.at("eos_token_id");
  if (!json.is_array()) return {r.require_int("eos_token_id", 0, vocab_size - 1)};
  std::vector<int64_t> ids;
  for (const Json& id : json) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= vocab_size) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"eos_token_id\": expected ids below {}, found {}", r.what(),
                  vocab_size, id.dump());
    }
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

}  // namespace

DenseConfig read_dense_config(JsonReader& r, UnknownKeys& unknown, HeadDim default_head_dim) {
  DenseConfig c;
  ignore_housekeeping(r);
  r.ignore(kWithoutEffect);
  require_value(r, "hidden_act", "silu");
  c.hidden_size = r.require_int("hidden_size", 1, kMaxSize);
  c.intermediate_size = r.require_int("intermediate_size", 1, kMaxSize);
  c.num_hidden_layers = r.require_int("num_hidden_layers", 1, 100000);
  c.vocab_size = r.require_int("vocab_size", 1, kMaxSize);
  c.max_position_embeddings = r.require_int("max_position_embeddings", 1, kMaxSize);
  if (has_value(r, "bos_token_id")) c.bos_token_id = r.require_int("bos_token_id", 0, c.vocab_size - 1);
  c.eos_token_ids = read_eos(r, c.vocab_size);
  c.rms_norm_eps = r.get("rms_norm_eps", 1e-6);
  require_positive(r, "rms_norm_eps", c.rms_norm_eps);
  c.tie_word_embeddings = r.get("tie_word_embeddings", false);
  read_heads(r, default_head_dim, c);
  read_rope(r, unknown, c);
  return c;
}

void refuse_sliding_window(JsonReader& r, const DenseConfig& c) {
  require_value(r, "use_sliding_window", false);
  r.ignore({"sliding_window", "max_window_layers"});  // of the window that is off
  require_per_layer(r, "layer_types",
                    std::vector<std::string>(static_cast<size_t>(c.num_hidden_layers), "full_attention"));
}

}  // namespace unha
