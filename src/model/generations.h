// SPDX-License-Identifier: Apache-2.0
// The generations this program knows, one file each, and how a model comes from a directory.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "model/model.h"
#include "model/source.h"

namespace unha {

// Builds the modules that config.json describes, without values. Error(kUnsupported) for an unknown model_type,
// Error(kInvalidArgument) for unknown or contradictory keys, all named. allow_unknown: keys that this program does not
// know are listed by Model::unknown_keys() instead; a known key with an unsupported value is refused all the same.
std::unique_ptr<Model> build_model(const Json& config, const std::string& what, bool allow_unknown = false);

// Whether there is a generation of that model_type.
bool known_generation(const std::string& model_type);
// config.json of a model. Many conversions announce multi-token prediction and leave its layers out: where the files
// hold nothing of them, num_nextn_predict_layers becomes 0, and the model runs without drafts.
Json read_model_config(const ModelSource& source);

// The class that config.json names under "unha_numerics", else f32. Error(kUnsupported) if it is no class of ours.
Numerics default_numerics(const Json& config, const std::string& what);

// Opens a model (open_source), binds every parameter or lists all misfits. numerics: nothing = default_numerics().
struct LoadedModel {
  std::unique_ptr<Model> model;
  std::shared_ptr<const ModelSource> source;
  Numerics numerics = Numerics::kF32;
};
LoadedModel load_model(const std::string& path, std::optional<Numerics> numerics,
                       const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace unha
