// SPDX-License-Identifier: Apache-2.0
#include "app/inspect_cmd.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <array>

#include "app/generate_options.h"
#include "app/progress.h"
#include "base/error.h"
#include "base/json.h"
#include "engine/engine.h"
#include "model/engram.h"
#include "model/tensor_groups.h"
#include "text/tokenizer_config.h"

namespace unha {

namespace {

struct InspectArgs {
  std::string path;
  bool json = false;
};

// A constant that does not fit is among the misfits; its Engram cannot be shown.
Json engram_json(Model& model, const ModelSource& source, bool fits) {
  EngramMemory* memory = model.engram();
  if (memory == nullptr || !fits) return nullptr;
  model.params().read_constants(*source.checkpoint());
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

Json formats_json(const std::array<int64_t, kFormats>& bytes) {
  Json out = Json::object();
  for (int i = 0; i < kFormats; ++i) {
    int64_t n = bytes[static_cast<size_t>(i)];
    if (n > 0) out[std::string(format_name(static_cast<Format>(i)))] = n;
  }
  return out;
}

Json groups_json(const Model& model, std::span<const Binding> bindings) {
  Json out = Json::array();
  for (const TensorGroup& group : group_tensors(model, bindings)) {
    out.push_back({{"name", std::string(group.name)},
                   {"tensors", group.tensors},
                   {"parameters", group.parameters},
                   {"bytes", group.bytes},
                   {"formats", formats_json(group.format_bytes)}});
  }
  return out;
}

Json tokenizer_json(const ModelSource& source, const Model& model) {
  std::optional<Tokenizer> t = read_tokenizer(source, model);
  if (!t) return nullptr;
  return {{"tokens", t->size()}, {"sha256", t->sha256()}};
}

std::string template_name(const ModelSource& source) {
  TokenizerConfig config = read_tokenizer_config(source);
  try {
    std::optional<ChatTemplate> known = ChatTemplate::from_config(config);
    return known ? known->name() : "none";
  } catch (const Error&) {
    return "unknown";
  }
}

// All that loading checks is checked here. What stops the model from loading is in "misfits", if it is the fault of
// single tensors, else an Error.
Json inspect(const Global& global, const std::string& path) {
  std::shared_ptr<const ModelSource> source = open_source(path);
  std::string what = source->path() + "/config.json";
  Json config = read_model_config(*source);
  std::unique_ptr<Model> model = build_model(config, what, global.allow_unknown_keys);
  note_unknown_keys(global, *model);
  Numerics numerics = global.numerics ? *global.numerics : default_numerics(config, what);
  std::vector<std::string> misfits;
  std::vector<Binding> bindings = model->params().match(*source, &misfits);
  int64_t context = model->max_positions(), bytes = 0;
  for (const SourceTensor* tensor : source->tensors()) bytes += tensor->bytes;
  Json engram = engram_json(*model, *source, misfits.empty());
  ModelCosts costs = model->costs(context);
  DType operand = numerics == Numerics::kBF16x2 ? DType::kBF16 : DType::kF32;
  MemoryPlan plan =
      plan_memory(*model, *source, bindings, {numerics, std::min(context, kDefaultContext), 256, global.threads});
  return {{"path", path},
          {"model_type", config["model_type"]},
          {"parameters_total", costs.parameters_total},
          {"parameters_active", costs.parameters_active},
          {"table_parameters", costs.table_parameters},
          {"bytes", bytes},
          {"groups", groups_json(*model, bindings)},
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
            {"step", plan.step},
            {"program", plan.program},
            {"needed", plan.needed(false)},
            {"needed_with_mmap", plan.needed(true)},
            {"available", available_memory()}}},
          {"tokenizer", tokenizer_json(*source, *model)},
          {"chat_template", template_name(*source)},
          {"checksums", source->has_file("checksums.json") ? "verified" : "none"},
          {"unused_tensors", model->params().unused_names(*source)},
          {"misfits", misfits}};
}

void print_groups(const Json& groups) {
  for (const Json& g : groups) {
    std::string formats;
    for (const auto& [name, bytes] : g["formats"].items()) {
      formats += fmt::format("{}{} {}", formats.empty() ? "" : ", ", name, megabytes(bytes));
    }
    fmt::print("  {:<16} {} tensors, {} parameters: {}\n", g["name"].get<std::string>(), g["tensors"].get<int64_t>(),
               number_text(g["parameters"].get<double>()), formats);
  }
}

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
  fmt::print("weights            {}\n", megabytes(j["bytes"]));
  print_groups(j["groups"]);
  fmt::print("numerics           {}\n", j["numerics"].get<std::string>());
  fmt::print("context            {} tokens, cache {} bytes per token\n", j["context"].get<int64_t>(),
             j["kv_bytes_per_token"].get<int64_t>());
  fmt::print("FLOPs per token    {} forward, {} training\n", count("forward_flops_per_token"),
             count("training_flops_per_token"));
  const Json& m = j["memory"];
  fmt::print(
      "memory             {} needed, {} with --mmap ({} mapped, {} copied, {} packed, {} cache, {} step, {} program)\n",
      megabytes(m["needed"]), megabytes(m["needed_with_mmap"]), megabytes(m["mapped"]), megabytes(m["owned"]),
      megabytes(m["packed"]), megabytes(m["cache"]), megabytes(m["step"]), megabytes(m["program"]));
  if (!j["engram"].is_null()) print_engram(j["engram"]);
  const Json& t = j["tokenizer"];
  fmt::print("tokenizer          {}\n", t.is_null() ? "none"
                                                    : fmt::format("{} tokens, SHA-256 {}", t["tokens"].get<int64_t>(),
                                                                  t["sha256"].get<std::string>()));
  fmt::print("chat template      {}\n", j["chat_template"].get<std::string>());
  fmt::print("checksums          {}\n", j["checksums"].get<std::string>());
  for (const Json& name : j["unused_tensors"]) fmt::print("unused tensor      {}\n", name.get<std::string>());
  for (const Json& misfit : j["misfits"]) fmt::print("does not fit       {}\n", misfit.get<std::string>());
}

}  // namespace

void add_inspect_command(CLI::App& root, Global& global, Action& action) {
  auto args = std::make_shared<InspectArgs>();
  CLI::App* cmd = root.add_subcommand(
      "inspect", "what a model holds: sizes, formats, memory, Engram, tokenizer, and what is missing");
  cmd->add_option("PATH", args->path, "model folder, .safetensors or .gguf file")->required();
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
      if (json["misfits"].empty()) return 0;
      throw_error(ErrorCode::kCorrupt, "{}: {} tensors do not fit the config", args->path, json["misfits"].size());
    };
  });
}

}  // namespace unha
