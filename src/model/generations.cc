// SPDX-License-Identifier: Apache-2.0
#include "model/generations.h"

#include <algorithm>

#include "base/error.h"
#include "model/dense_model.h"
#include "model/v2.h"
#include "model/v3.h"
#include "model/v32.h"

namespace unha {

namespace {

struct Generation {
  const char* model_type;
  std::unique_ptr<Model> (*build)(const Json& config, const std::string& what, bool allow_unknown);
};

constexpr Generation kGenerations[] = {
    {"deepseek_v2", build_v2}, {"deepseek_v3", build_v3}, {"deepseek_v32", build_v32},
    {"llama", build_llama},    {"qwen2", build_qwen2},    {"qwen3", build_qwen3},
};

int64_t whole_number(const Json& config, const char* key) {
  auto it = config.find(key);
  return it != config.end() && it->is_number_integer() ? it->get<int64_t>() : 0;
}

// Every layer and every expert has tensors of its own. A config that promises more of them than there are tensors would
// cost time and memory before the first misfit is found.
void refuse_more_than_stored(const Json& config, int64_t tensors, const std::string& what) {
  int64_t layers = whole_number(config, "num_hidden_layers"), experts = whole_number(config, "n_routed_experts");
  int64_t routed = 0;  // layers with experts
  if (layers > 0 && layers <= tensors && experts > 0) {
    int64_t others = std::clamp<int64_t>(whole_number(config, "first_k_dense_replace"), 0, layers);
    int64_t every = std::clamp<int64_t>(whole_number(config, "moe_layer_freq"), 1, layers);
    routed = (layers - others + every - 1) / every;
  }
  if (layers <= tensors && (routed == 0 || experts <= tensors / routed)) return;
  throw_error(ErrorCode::kCorrupt, "{}: {} layers with {} experts each, but only {} tensors are there", what, layers,
              std::max<int64_t>(experts, 0), tensors);
}

}  // namespace

bool known_generation(const std::string& model_type) {
  return std::any_of(std::begin(kGenerations), std::end(kGenerations),
                     [&](const Generation& generation) { return model_type == generation.model_type; });
}

Json read_model_config(const ModelSource& source) {
  Json config = parse_json(source.read_text("config.json"), source.path() + "/config.json");
  if (!config.is_object()) return config;  // build_model() says what is wrong
  std::vector<const SourceTensor*> tensors = source.tensors();
  refuse_more_than_stored(config, static_cast<int64_t>(tensors.size()), source.path() + "/config.json");
  auto layers = config.find("num_hidden_layers"), modules = config.find("num_nextn_predict_layers");
  auto whole = [&](auto it) { return it != config.end() && it->is_number_integer(); };
  if (!whole(layers) || !whole(modules)) return config;
  std::string prefix = fmt::format("model.layers.{}.", layers->get<int64_t>());
  for (const SourceTensor* tensor : tensors) {
    if (tensor->name.starts_with(prefix)) return config;
  }
  *modules = 0;
  return config;
}

std::unique_ptr<Model> build_model(const Json& config, const std::string& what, bool allow_unknown) {
  if (!config.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: expected an object", what);
  auto type = JsonReader(config, what).require<std::string>("model_type");
  std::string known;
  for (const Generation& generation : kGenerations) {
    if (type == generation.model_type) return generation.build(config, what, allow_unknown);
    known += (known.empty() ? "\"" : ", \"") + std::string(generation.model_type) + "\"";
  }
  throw_error(ErrorCode::kUnsupported, "{}: model_type \"{}\" is not supported; known: {}", what, type, known);
}

Numerics default_numerics(const Json& config, const std::string& what) {
  if (!config.contains("unha_numerics")) return Numerics::kF32;
  auto name = JsonReader(config, what).require<std::string>("unha_numerics");
  auto numerics = numerics_from_name(name);
  if (!numerics || *numerics == Numerics::kF64) {
    throw_error(ErrorCode::kUnsupported, "{}: \"unha_numerics\" \"{}\" is not a class of this program", what, name);
  }
  return *numerics;
}

LoadedModel load_model(const std::string& path, std::optional<Numerics> numerics,
                       const std::function<void(int64_t, int64_t)>& progress) {
  LoadedModel loaded;
  loaded.source = open_source(path);
  std::string what = loaded.source->path() + "/config.json";
  Json config = read_model_config(*loaded.source);
  loaded.model = build_model(config, what);
  loaded.numerics = numerics ? *numerics : default_numerics(config, what);
  loaded.model->params().bind(loaded.source, loaded.numerics, progress);
  loaded.model->bound();
  return loaded;
}

}  // namespace unha
