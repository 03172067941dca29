// SPDX-License-Identifier: Apache-2.0
#include "model/v32.h"

#include "model/deepseek.h"

namespace unha {

namespace {

// Released config.json files carry these; they do not touch the forward.
constexpr std::initializer_list<const char*> kWithoutEffect = {"_name_or_path",
                                                               "architectures",
                                                               "attention_dropout",
                                                               "auto_map",
                                                               "aux_loss_alpha",
                                                               "dtype",
                                                               "ep_size",
                                                               "head_dim",
                                                               "initializer_range",
                                                               "model_type",
                                                               "output_router_logits",
                                                               "pad_token_id",
                                                               "pretraining_tp",
                                                               "seq_aux",
                                                               "torch_dtype",
                                                               "transformers_version",
                                                               "unha_numerics",
                                                               "use_cache"};

constexpr DeepseekRules kRules = {kWithoutEffect, DeepseekRules::Router::kV3, true, false};

}  // namespace

DeepseekConfig parse_v32_config(const Json& config, const std::string& what, UnknownKeys* unknown) {
  return parse_deepseek_config(config, what, kRules, unknown);
}

std::unique_ptr<Model> build_v32(const Json& config, const std::string& what, bool allow_unknown) {
  UnknownKeys unknown{allow_unknown, {}};
  DeepseekConfig parsed = parse_v32_config(config, what, &unknown);
  return std::make_unique<DeepseekModel>(config, what, std::move(parsed), std::move(unknown.names));
}

}  // namespace unha
