// SPDX-License-Identifier: Apache-2.0
#include "train/run_checkpoint.h"

#include <cstring>

#include "base/error.h"

namespace unha {

namespace {
constexpr const char* kStateFile = "optimizer.safetensors";
constexpr const char* kVersion = "1";

std::vector<TensorSource> weights_of(Model& model) {
  std::vector<TensorSource> tensors;
  for (const Param* param : model.params().by_name()) {
    tensors.push_back({param->name, param->weight.value.dtype(), param->shape, param->weight.value.bytes(), {}});
  }
  for (const Constant& constant : model.params().constants()) {
    tensors.push_back({constant.name, constant.dtype, constant.shape, constant.bytes.data(), {}});
  }
  return tensors;
}

// Paths of leaves that differ, as "optimizer.lr 0.002 -> 0.001".
void differences(const Json& then, const Json& now, const std::string& path, std::string& out) {
  if (then == now) return;
  if (then.is_object() && now.is_object()) {
    for (const auto& item : then.items()) {
      differences(item.value(), now.contains(item.key()) ? now[item.key()] : Json(),
                  path.empty() ? item.key() : path + "." + item.key(), out);
    }
    for (const auto& item : now.items()) {
      if (!then.contains(item.key())) differences(Json(), item.value(), path + "." + item.key(), out);
    }
    return;
  }
  auto text = [](const Json& json) {
    std::string value = json.dump();
    return value.size() > 40 ? value.substr(0, 37) + "..." : value;
  };
  out += fmt::format("{}{}: was {}, is {}", out.empty() ? "" : "; ", path, text(then), text(now));
}

template <class T>
std::vector<T> read_vector(const SafetensorsFile& file, const std::string& name, DType dtype) {
  const TensorInfo* info = file.find(name);
  if (info == nullptr || info->dtype != dtype || info->shape.size() != 1) {
    throw_error(ErrorCode::kCorrupt, "{}: {}: expected a list of {}", file.path(), name, dtype_name(dtype));
  }
  std::vector<T> values(static_cast<size_t>(info->elements()));
  if (!values.empty()) std::memcpy(values.data(), info->data, static_cast<size_t>(info->bytes));
  return values;
}
}  // namespace

std::string save_run(FileSystem& fs, const std::string& dir, const RunIdentity& identity, Model& model,
                     const Trainer& trainer, int64_t keep) {
  CheckpointWriter writer(fs, dir, trainer.steps_done());
  writer.add("config.json", identity.model_config.dump(2) + "\n");
  writer.add_safetensors("model.safetensors", weights_of(model));
  writer.add("tokenizer.json", identity.tokenizer_json);
  writer.add("tokenizer_config.json", identity.tokenizer_config_json);
  std::vector<TensorSource> state = trainer.optimizer().state();
  std::vector<int64_t> counters = trainer.counters();
  const std::vector<double>& norms = trainer.recent_norms();
  state.push_back({"counters", DType::kI64, {static_cast<int64_t>(counters.size())}, counters.data(), {}});
  state.push_back({"recent_norms", DType::kF64, {static_cast<int64_t>(norms.size())}, norms.data(), {}});
  writer.add_safetensors(kStateFile, std::move(state),
                         {{"format", "unha-optimizer"}, {"version", kVersion}, {"settings", identity.settings.dump()}});
  return writer.commit(keep);
}

void restore_run(const std::string& path, const RunIdentity& identity, Model& model, Trainer& trainer) {
  Checkpoint checkpoint = Checkpoint::open(path);
  if (!checkpoint.has_file(kStateFile)) {
    throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no {}", checkpoint.dir(), kStateFile),
                "a model without it can be trained further with --init");
  }
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json"})
    checkpoint.read_text(name);  // checked
  SafetensorsFile state = checkpoint.open_safetensors(kStateFile);
  const auto& metadata = state.metadata();
  auto format = metadata.find("format"), version = metadata.find("version"), settings = metadata.find("settings");
  if (format == metadata.end() || format->second != "unha-optimizer" || version == metadata.end() ||
      version->second != kVersion || settings == metadata.end()) {
    throw_error(ErrorCode::kCorrupt, "{}: expected the state of a run, version {}", state.path(), kVersion);
  }
  Json then = parse_json(settings->second, state.path() + " settings");
  if (then != identity.settings) {
    std::string what;
    differences(then, identity.settings, "", what);
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: the config is not the one this run began with: {}", checkpoint.dir(), what),
                "resume with the same settings, or start anew in another folder");
  }
  trainer.optimizer().take_values(trainer.ctx(), checkpoint);
  trainer.optimizer().restore(trainer.ctx(), state);
  model.bound();
  auto counters = read_vector<int64_t>(state, "counters", DType::kI64);
  if (static_cast<int64_t>(counters.size()) != Trainer::kCounters || counters[0] < 0) {
    throw_error(ErrorCode::kCorrupt, "{}: counters: expected {}, found {}", state.path(), Trainer::kCounters,
                counters.size());
  }
  trainer.restore(counters, read_vector<double>(state, "recent_norms", DType::kF64));
}

}  // namespace unha
