// SPDX-License-Identifier: Apache-2.0
#include "model/tensor_groups.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace unha {

namespace {

constexpr std::array<std::string_view, 12> kGroups = {"embedding", "engram", "norms",   "attention",
                                                      "indexer",   "router", "experts", "shared experts",
                                                      "dense mlp", "head",   "mtp",     "other"};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

int64_t layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "model.layers.";
  int64_t layer = -1;
  if (name.starts_with(kPrefix)) std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  return layer;
}

std::string_view tensor_part(const Param& param) {
  std::string_view name = param.name;
  if (param.role == ParamRole::kEmbedding) return "embedding";
  if (param.role == ParamRole::kHead) return "head";
  if (param.role == ParamRole::kTable || contains(name, ".engram.")) return "engram";
  if (param.role == ParamRole::kRouter || param.role == ParamRole::kRouterBias) return "router";
  if (contains(name, ".indexer.")) return "indexer";
  if (contains(name, "norm")) return "norms";
  if (contains(name, "self_attn.")) return "attention";
  if (contains(name, ".shared_experts.")) return "shared experts";
  if (contains(name, ".experts.")) return "experts";
  return contains(name, ".mlp.") ? "dense mlp" : "other";
}

std::string_view tensor_group(const Model& model, const Param& param) {
  bool behind = layer_of(param.name) >= model.config().value("num_hidden_layers", INT64_MAX);
  return behind ? "mtp" : tensor_part(param);
}

std::vector<TensorGroup> group_tensors(const Model& model, std::span<const Binding> bindings) {
  std::vector<TensorGroup> groups;
  for (std::string_view name : kGroups) groups.push_back({name});
  for (const auto& [param, tensor] : bindings) {
    std::string_view name = tensor_group(model, *param);
    TensorGroup& group = *std::ranges::find(groups, name, &TensorGroup::name);
    ++group.tensors;
    group.parameters += param->size();
    group.bytes += tensor->bytes;
    group.format_bytes[static_cast<size_t>(tensor->matrix.format)] += tensor->bytes;
  }
  std::erase_if(groups, [](const TensorGroup& group) { return group.tensors == 0; });
  return groups;
}

}  // namespace unha
