// SPDX-License-Identifier: Apache-2.0
#include "model/v2.h"

#include "model/deepseek.h"

namespace unha {

namespace {

// Released files carry these beside what every one does (ignore_housekeeping); they do not touch the forward.
constexpr std::initializer_list<const char*> kWithoutEffect = {"aux_loss_alpha", "ep_size", "head_dim",
                                                               "output_router_logits", "seq_aux"};

constexpr DeepseekRules kRules = {kWithoutEffect, DeepseekRules::Router::kV2, false, false};

}  // namespace

DeepseekConfig parse_v2_config(const Json& config, const std::string& what, UnknownKeys* unknown) {
  return parse_deepseek_config(config, what, kRules, unknown);
}

std::unique_ptr<Model> build_v2(const Json& config, const std::string& what, bool allow_unknown) {
  UnknownKeys unknown{allow_unknown, {}};
  DeepseekConfig parsed = parse_v2_config(config, what, &unknown);
  return std::make_unique<DeepseekModel>(config, what, std::move(parsed), std::move(unknown.names));
}

}  // namespace unha
