// SPDX-License-Identifier: Apache-2.0
#include "model/generations.h"

#include "base/error.h"
#include "model/v3.h"

namespace unha {

std::unique_ptr<Model> build_model(const Json& config, const std::string& what) {
  if (!config.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: expected an object", what);
  std::string type = JsonReader(config, what).require<std::string>("model_type");
  if (type == "deepseek_v3") return std::make_unique<V3Model>(config, what);
  throw_error(ErrorCode::kUnsupported, "{}: model_type \"{}\" is not supported; known: \"deepseek_v3\"", what, type);
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
  loaded.checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(path));
  std::string what = loaded.checkpoint->dir() + "/config.json";
  Json config = parse_json(loaded.checkpoint->read_text("config.json"), what);
  loaded.model = build_model(config, what);
  loaded.numerics = numerics ? *numerics : default_numerics(config, what);
  loaded.model->params().bind(loaded.checkpoint, loaded.numerics, progress);
  loaded.model->bound();
  return loaded;
}

}  // namespace unha
