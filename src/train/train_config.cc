// SPDX-License-Identifier: Apache-2.0
#include "train/train_config.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "io/file.h"

namespace unha {

namespace {

constexpr int64_t kMany = int64_t{1} << 40;

class ConfigParser {
 public:
  ConfigParser(const Json& json, const std::string& what, std::string folder)
      : r_(json, what), folder_(std::move(folder)) {
    c_.what = what;
  }

  TrainConfig parse() {
    read_inputs();
    read_shape();
    read_optimizer();
    read_schedule();
    r_.ignore({"comment"});
    r_.finish();
    check();
    return std::move(c_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ErrorCode::kInvalidArgument, c_.what + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  std::string path(const std::string& text) const {
    if (text.empty()) refuse("a path is empty");
    std::filesystem::path p(text);
    return (p.is_absolute() ? p : std::filesystem::path(folder_) / p).lexically_normal().string();
  }
  std::string path_key(const char* key) { return r_.has(key) ? path(r_.require<std::string>(key)) : ""; }
  double positive(JsonReader& r, const char* key, double fallback, bool zero = true) const {
    double value = r.get(key, fallback);
    if (value < 0 || (!zero && value == 0)) {
      refuse("\"{}\" must be {}, found {}", key, zero ? "at least 0" : "above 0", value);
    }
    return value;
  }

  std::vector<std::string> paths_key(const char* key) {
    std::vector<std::string> paths;
    if (!r_.has(key)) return paths;
    const Json& list = r_.at(key);
    if (list.is_string()) return {path(list.get<std::string>())};
    if (!list.is_array()) refuse("\"{}\" must be a path or a list of paths", key);
    for (const Json& item : list) {
      if (!item.is_string()) refuse("\"{}\" must hold paths, found {}", key, item.dump());
      paths.push_back(path(item.get<std::string>()));
    }
    return paths;
  }

  void read_inputs() {
    c_.init = path_key("init");
    c_.tokenizer = path_key("tokenizer");
    if (r_.has("model")) {
      const Json& model = r_.at("model");
      if (model.is_string()) {
        std::string file = path(model.get<std::string>());
        c_.model = parse_json(read_file(file), file);
      } else {
        c_.model = model;
      }
      if (!c_.model.is_object()) refuse("\"model\" must be a config.json object or the path of one");
    }
    std::string objective = r_.get<std::string>("objective", "pretrain");
    if (objective != "pretrain" && objective != "sft") {
      refuse("\"objective\" must be \"pretrain\" or \"sft\", found \"{}\"", objective);
    }
    c_.objective = objective == "sft" ? Objective::kSft : Objective::kPretrain;
    if (r_.has("data")) read_data();
    c_.chats = paths_key("chats");
    c_.heldout = paths_key("heldout");
    if (r_.has("numerics")) {
      std::string name = r_.require<std::string>("numerics");
      c_.numerics = numerics_from_name(name);
      if (!c_.numerics || *c_.numerics == Numerics::kF64) {
        refuse("\"numerics\" must be \"f32\" or \"bf16x2\", found \"{}\"", name);
      }
    }
  }

  void read_data() {
    const Json& data = r_.at("data");
    Json list = data.is_array() ? data : Json::array({data});
    for (const Json& item : list) {
      if (item.is_string()) {
        c_.data.push_back({path(item.get<std::string>()), 1});
        continue;
      }
      JsonReader source(item, c_.what + " data");
      TrainConfig::Source s;
      s.path = path(source.require<std::string>("path"));
      s.weight = positive(source, "weight", 1, false);
      if (s.weight > 1000) refuse("\"weight\" must be at most 1000, found {}", s.weight);
      source.finish();
      c_.data.push_back(std::move(s));
    }
  }

  void read_shape() {
    c_.steps = r_.require_int("steps", 1, kMany);
    c_.seed = r_.get_int("seed", 0, 0, INT64_MAX);
    c_.sequence_length = r_.require_int("sequence_length", 2, 1 << 24);
    c_.batch_tokens = r_.require_int("batch_tokens", 2, 1 << 30);
    c_.gradient_groups = r_.get_int("gradient_groups", 1, 1, 1 << 16);
    c_.document_mask = r_.get("document_mask", true);
    c_.balance_alpha = positive(r_, "balance_alpha", c_.balance_alpha);
    c_.recompute = r_.get("recompute", false);
    c_.eval_every = r_.get_int("eval_every", 0, 0, kMany);
    c_.eval_bytes = r_.get_int("eval_bytes", 0, 0, kMany);
    c_.save_every = r_.get_int("save_every", 0, 0, kMany);
    c_.save_minutes = positive(r_, "save_minutes", c_.save_minutes);
  }

  void read_optimizer() {
    Json none = Json::object();
    JsonReader o(r_.has("optimizer") ? r_.at("optimizer") : none, c_.what + " optimizer");
    OptimizerConfig& out = c_.optimizer;
    out.lr = positive(o, "lr", out.lr, false);
    if (o.has("betas")) {
      const Json& betas = o.at("betas");
      if (!betas.is_array() || betas.size() != 2 || !betas[0].is_number() || !betas[1].is_number()) {
        refuse("\"betas\" must be two numbers, found {}", betas.dump());
      }
      out.beta1 = betas[0].get<double>();
      out.beta2 = betas[1].get<double>();
    }
    if (!(out.beta1 >= 0 && out.beta1 < 1 && out.beta2 >= 0 && out.beta2 < 1)) {
      refuse("\"betas\" must be within [0, 1), found {} and {}", out.beta1, out.beta2);
    }
    out.eps = positive(o, "eps", out.eps, false);
    out.weight_decay = positive(o, "weight_decay", out.weight_decay);
    out.clip = positive(o, "clip", out.clip);
    out.engram_lr_factor = positive(o, "engram_lr_factor", out.engram_lr_factor);
    c_.schedule.warmup_steps = o.get_int("warmup_steps", 0, 0, kMany);
    o.finish();
  }

  void read_schedule() {
    ScheduleConfig& s = c_.schedule;
    Json none = Json::object();
    JsonReader shape(r_.has("schedule") ? r_.at("schedule") : none, c_.what + " schedule");
    s.plateau_end = positive(shape, "plateau_end", s.plateau_end);
    s.cosine_end = positive(shape, "cosine_end", s.cosine_end);
    s.tail_end = positive(shape, "tail_end", s.tail_end);
    s.tail_factor = positive(shape, "tail_factor", s.tail_factor);
    s.last_factor = positive(shape, "last_factor", s.last_factor);
    shape.finish();
    if (!(s.plateau_end <= s.cosine_end && s.cosine_end <= s.tail_end && s.tail_end <= 1)) {
      refuse("schedule: plateau_end {}, cosine_end {}, tail_end {} must ascend within 0 and 1", s.plateau_end,
             s.cosine_end, s.tail_end);
    }
    if (r_.has("mtp_weight")) {
      const Json& weight = r_.at("mtp_weight");
      bool pair = weight.is_array() && weight.size() == 2 && weight[0].is_number() && weight[1].is_number();
      if (!pair && !weight.is_number()) refuse("\"mtp_weight\" must be a number or two, found {}", weight.dump());
      s.mtp_weight = pair ? weight[0].get<double>() : weight.get<double>();
      s.mtp_weight_late = pair ? weight[1].get<double>() : s.mtp_weight;
      if (s.mtp_weight < 0 || s.mtp_weight_late < 0) refuse("\"mtp_weight\" must be at least 0");
    }
    s.router_bias_speed = positive(r_, "router_bias_speed", s.router_bias_speed);
  }

  void check() const {
    bool sft = c_.objective == Objective::kSft;
    if (c_.model.is_null() == c_.init.empty()) {
      refuse("{}",
             c_.init.empty() ? "\"model\" or \"init\" is missing" : "\"model\" and \"init\" contradict each other");
    }
    if (c_.init.empty() && c_.tokenizer.empty()) refuse("key \"tokenizer\" is missing");
    if (sft && c_.chats.empty()) refuse("objective \"sft\" needs \"chats\"");
    if (sft && !c_.data.empty()) refuse("objective \"sft\" trains on \"chats\", not on \"data\"");
    if (!sft && c_.data.empty()) refuse("objective \"pretrain\" needs \"data\"");
    if (!sft && !c_.chats.empty()) refuse("objective \"pretrain\" trains on \"data\", not on \"chats\"");
    if (sft && !c_.document_mask) refuse("objective \"sft\" needs \"document_mask\": chats never see each other");
    if (c_.batch_tokens % c_.sequence_length != 0) {
      refuse("\"batch_tokens\" {} is no multiple of \"sequence_length\" {}", c_.batch_tokens, c_.sequence_length);
    }
    if ((c_.gradient_groups & (c_.gradient_groups - 1)) != 0) {
      refuse("\"gradient_groups\" must be a power of two, found {}", c_.gradient_groups);
    }
    if (c_.batch_tokens / c_.sequence_length % c_.gradient_groups != 0) {
      refuse("\"gradient_groups\" {} does not divide the batch's {} sequences", c_.gradient_groups,
             c_.batch_tokens / c_.sequence_length);
    }
    if (c_.schedule.warmup_steps > c_.steps) {
      refuse("\"warmup_steps\" {} is beyond \"steps\" {}", c_.schedule.warmup_steps, c_.steps);
    }
  }

  JsonReader r_;
  std::string folder_;
  TrainConfig c_;
};

}  // namespace

void apply_override(Json& json, const std::string& text) {
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorCode::kUsage, fmt::format("--set {}: expected key=value", quoted_name(text)));
  }
  Json* node = &json;
  std::string key = text.substr(0, equals);
  for (size_t begin = 0;;) {
    size_t dot = key.find('.', begin);
    std::string part = key.substr(begin, dot == std::string::npos ? dot : dot - begin);
    if (!node->is_object()) throw Error(ErrorCode::kUsage, fmt::format("--set {}: {} holds no keys", text, part));
    node = &(*node)[part];
    if (dot == std::string::npos) break;
    if (node->is_null()) *node = Json::object();
    begin = dot + 1;
  }
  std::string value = text.substr(equals + 1);
  Json parsed;
  try {
    parsed = parse_json(value, "--set " + key);
  } catch (const Error&) {
    parsed = value;  // a bare word
  }
  *node = std::move(parsed);
}

TrainConfig parse_train_config(Json json, const std::string& what, const std::string& folder) {
  return ConfigParser(json, what, folder).parse();
}

TrainConfig load_train_config(const std::string& path, const std::vector<std::string>& overrides) {
  Json json = parse_json(read_file(path), path);
  if (!json.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: expected an object", path);
  for (const std::string& text : overrides) apply_override(json, text);
  return parse_train_config(std::move(json), path, parent_dir(path));
}

}  // namespace unha
