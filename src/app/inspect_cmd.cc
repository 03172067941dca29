// SPDX-License-Identifier: Apache-2.0
#include "app/inspect_cmd.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <map>

#include "app/generate_options.h"
#include "app/progress.h"
#include "base/error.h"
#include "base/json.h"
#include "engine/engine.h"
#include "model/engram.h"
#include "text/tokenizer_config.h"

namespace unha {

namespace {

struct InspectArgs {
  std::string path;
  bool json = false;
};

Json engram_json(Model& model, const Checkpoint& checkpoint) {
  EngramMemory* memory = model.engram();
  if (memory == nullptr) return nullptr;
  model.params().read_constants(checkpoint);
  model.bound();
  const EngramConfig& c = memory->config();
  std::vector<int64_t> orders;
  for (int64_t n = 2; n <= c.max_ngram_size; ++n) orders.push_back(n);
  Json layers = Json::array();
  for (const auto& layer : memory->layers()) {
    layers.push_back({{"layer", layer->layer()},
                      {"rows", layer->hash().rows},
                      {"row_width", c.row_width()},
                      {"primes", layer->hash().primes}});
  }
  return {{"orders", orders},
          {"heads_per_order", c.n_head_per_ngram},
          {"width", c.width()},
          {"row_width", c.row_width()},
          {"rows_per_token", c.columns()},
          {"kernel_size", c.kernel_size},
          {"streams", c.hc_mult},
          {"gate", c.gate == EngramConfig::Gate::kPlain ? "plain" : "signed_sqrt"},
          {"canonical_vocab", memory->canonical_vocab()},
          {"layers", layers}};
}

Json dtypes_json(const Checkpoint& checkpoint) {
  std::map<std::string, std::pair<int64_t, int64_t>> by_dtype;  // elements, bytes
  for (const auto& [name, info] : checkpoint.tensors()) {
    auto& [elements, bytes] = by_dtype[std::string(dtype_name(info.dtype))];
    elements += info.elements();
    bytes += info.bytes;
  }
  Json out = Json::object();
  for (const auto& [name, sizes] : by_dtype) out[name] = {{"elements", sizes.first}, {"bytes", sizes.second}};
  return out;
}

Json tokenizer_json(const Checkpoint& checkpoint) {
  if (!checkpoint.has_file("tokenizer.json")) return nullptr;
  Tokenizer t = Tokenizer::parse(checkpoint.read_text("tokenizer.json"), checkpoint.dir() + "/tokenizer.json");
  return {{"tokens", t.size()}, {"sha256", t.sha256()}};
}

std::string template_name(const Checkpoint& checkpoint) {
  TokenizerConfig config = TokenizerConfig::from_model_dir(checkpoint.dir());
  try {
    std::optional<ChatTemplate> known = ChatTemplate::from_config(config);
    return known ? known->name() : "none";
  } catch (const Error&) {
    return "unknown";
  }
}

Json inspect(const Global& global, const std::string& path) {
  Checkpoint checkpoint = Checkpoint::open(path);
  std::string what = checkpoint.dir() + "/config.json";
  Json config = parse_json(checkpoint.read_text("config.json"), what);
  std::unique_ptr<Model> model = build_model(config, what, global.allow_unknown_keys);
  note_unknown_keys(global, *model);
  Numerics numerics = global.numerics ? *global.numerics : default_numerics(config, what);
  int64_t context = model->max_positions();
  Json engram = engram_json(*model, checkpoint);
  ModelCosts costs = model->costs(context);
  DType operand = numerics == Numerics::kBF16x2 ? DType::kBF16 : DType::kF32;
  MemoryPlan plan = plan_memory(*model, checkpoint, numerics, std::min(context, kDefaultContext), 256);
  return {{"path", path},
          {"model_type", config["model_type"]},
          {"parameters_total", costs.parameters_total},
          {"parameters_active", costs.parameters_active},
          {"table_parameters", costs.table_parameters},
          {"bytes", checkpoint.weight_bytes()},
          {"dtypes", dtypes_json(checkpoint)},
          {"numerics", std::string(numerics_name(numerics))},
          {"context", context},
          {"vocab_size", model->vocab_size()},
          {"hidden_size", model->hidden_size()},
          {"mtp_depth", model->mtp_depth()},
          {"kv_bytes_per_token", model->cache_layout().bytes_per_token(operand)},
          {"forward_flops_per_token", costs.forward_flops_per_token},
          {"training_flops_per_token", costs.training_flops_per_token},
          {"engram", engram},
          {"memory",
           {{"mapped", plan.mapped},
            {"owned", plan.owned},
            {"packed", plan.packed},
            {"cache", plan.cache},
            {"step", plan.step}}},
          {"tokenizer", tokenizer_json(checkpoint)},
          {"chat_template", template_name(checkpoint)},
          {"checksums", checkpoint.has_file("checksums.json") ? "verified" : "none"},
          {"unused_tensors", model->params().unused_names(checkpoint)}};
}

std::string mb(const Json& bytes) { return number_text(bytes.get<double>() * 1e-6) + " MB"; }

void print_engram(const Json& e) {
  fmt::print("Engram             orders {}, {} heads each, rows of {}, {} rows per token, {} taps, gate {}\n",
             fmt::join(e["orders"].get<std::vector<int64_t>>(), " "), e["heads_per_order"].get<int64_t>(),
             e["row_width"].get<int64_t>(), e["rows_per_token"].get<int64_t>(), e["kernel_size"].get<int64_t>(),
             e["gate"].get<std::string>());
  for (const Json& layer : e["layers"]) {
    fmt::print("  layer {:<10} {} rows; primes {}\n", layer["layer"].get<int64_t>(), layer["rows"].get<int64_t>(),
               fmt::join(layer["primes"].get<std::vector<int64_t>>(), " "));
  }
}

void print_text(const Json& j) {
  auto count = [&](const char* key) { return number_text(j[key].get<double>()); };
  fmt::print("path               {}\n", j["path"].get<std::string>());
  fmt::print("model              {}, hidden {}, vocabulary {}, {} MTP modules\n", j["model_type"].get<std::string>(),
             j["hidden_size"].get<int64_t>(), j["vocab_size"].get<int64_t>(), j["mtp_depth"].get<int64_t>());
  fmt::print("parameters         {} total, {} active per token, {} in tables\n", count("parameters_total"),
             count("parameters_active"), count("table_parameters"));
  fmt::print("weights            {}", mb(j["bytes"]));
  for (const auto& [name, sizes] : j["dtypes"].items()) fmt::print("; {} {}", name, mb(sizes["bytes"]));
  fmt::print("\nnumerics           {}\n", j["numerics"].get<std::string>());
  fmt::print("context            {} tokens, cache {} bytes per token\n", j["context"].get<int64_t>(),
             j["kv_bytes_per_token"].get<int64_t>());
  fmt::print("FLOPs per token    {} forward, {} training\n", count("forward_flops_per_token"),
             count("training_flops_per_token"));
  const Json& m = j["memory"];
  fmt::print("memory             {} mapped, {} copied, {} packed, {} cache, {} step\n", mb(m["mapped"]), mb(m["owned"]),
             mb(m["packed"]), mb(m["cache"]), mb(m["step"]));
  if (!j["engram"].is_null()) print_engram(j["engram"]);
  const Json& t = j["tokenizer"];
  fmt::print("tokenizer          {}\n", t.is_null() ? "none"
                                                    : fmt::format("{} tokens, SHA-256 {}", t["tokens"].get<int64_t>(),
                                                                  t["sha256"].get<std::string>()));
  fmt::print("chat template      {}\n", j["chat_template"].get<std::string>());
  fmt::print("checksums          {}\n", j["checksums"].get<std::string>());
  for (const Json& name : j["unused_tensors"]) fmt::print("unused tensor      {}\n", name.get<std::string>());
}

}  // namespace

void add_inspect_command(CLI::App& root, Global& global, Action& action) {
  auto args = std::make_shared<InspectArgs>();
  CLI::App* cmd = root.add_subcommand("inspect", "what a model folder holds: sizes, memory, Engram, tokenizer");
  cmd->add_option("PATH", args->path, "model folder")->required();
  cmd->add_flag("--json", args->json, "one JSON object on standard output");
  cmd->footer("Examples:\n  unha inspect models/unha-tiny\n  unha inspect out/smoke/last --json");
  cmd->callback([&global, &action, args] {
    action = [&global, args] {
      Json json = inspect(global, args->path);
      if (args->json) {
        fmt::print("{}\n", json.dump(2));
      } else {
        print_text(json);
      }
      return 0;
    };
  });
}

}  // namespace unha
