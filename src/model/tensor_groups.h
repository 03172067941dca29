// SPDX-License-Identifier: Apache-2.0
// A model's tensors by what they are for, so that a person sees at a glance what a download holds.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace unha {

struct TensorGroup {
  std::string_view name;  // embedding, attention, experts ...
  int64_t tensors = 0;    // as stored: a tensor that joins all experts is one
  int64_t parameters = 0;
  int64_t bytes = 0;
  std::array<int64_t, kFormats> format_bytes{};  // by Format; they add up to bytes
};

// 7 of "model.layers.7.mlp.gate.weight"; -1: in no layer.
int64_t layer_of(std::string_view name);
// What a parameter is for, in any layer.
std::string_view tensor_part(const Param& param);
// The group of a parameter: its part, but layers behind the config's num_hidden_layers are "mtp", whatever they hold.
std::string_view tensor_group(const Model& model, const Param& param);

// Groups in the order of a forward pass, those without tensors left out; of the parameters that match() bound.
std::vector<TensorGroup> group_tensors(const Model& model, std::span<const Binding> bindings);

}  // namespace unha
