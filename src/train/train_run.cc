// SPDX-License-Identifier: Apache-2.0
#include "train/train_run.h"

#include <chrono>
#include <ctime>
#include <filesystem>

#include "base/error.h"
#include "base/sha256.h"
#include "model/engram.h"
#include "model/generations.h"
#include "text/canonical_ids.h"
#include "text/tokenizer_config.h"
#include "train/heldout.h"
#include "train/run_checkpoint.h"
#include "train/run_log.h"

namespace unha {

namespace {

namespace stdfs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

int64_t unix_time() { return static_cast<int64_t>(std::time(nullptr)); }

// Everything a run owns, made in order.
class Run {
 public:
  Run(const TrainConfig& config, const RunOptions& options, const RunEvents& events, Threads& threads, FileSystem& fs)
      : config_(config), options_(options), events_(events), threads_(threads), fs_(fs) {}

  RunResult go() {
    claim_folder();
    open_model();
    open_data();
    trainer_ = std::make_unique<Trainer>(*model_, config_, *documents_, options_.numerics, options_.isa, threads_);
    describe();
    start();
    return loop();
  }

 private:
  void note(const std::string& text) const {
    if (events_.note) events_.note(text);
  }

  void claim_folder() {
    std::error_code error;
    if (stdfs::exists(options_.out, error) && !stdfs::is_directory(options_.out, error)) {
      throw_error(ErrorCode::kUsage, "--out {}: there is a file of that name", options_.out);
    }
    if (!options_.resume && stdfs::is_directory(options_.out, error) && !stdfs::is_empty(options_.out, error)) {
      throw Error(ErrorCode::kUsage, fmt::format("--out {}: the folder is not empty", options_.out),
                  "give --resume to go on with the run in it, or another folder");
    }
    if (options_.resume) last_ = last_checkpoint(options_.out);
    if (options_.stop_after < 0 || options_.stop_after > config_.steps) {
      throw_error(ErrorCode::kUsage, "--stop-after {} is not within 1 and the run's {} steps", options_.stop_after,
                  config_.steps);
    }
  }

  void open_model() {
    Json json = config_.model;
    std::string what = config_.what + " model";
    if (!config_.init.empty()) {
      init_ = std::make_unique<Checkpoint>(Checkpoint::open(config_.init));
      what = init_->dir() + "/config.json";
      json = parse_json(init_->read_text("config.json"), what);
    }
    std::string folder = config_.tokenizer.empty() ? config_.init : config_.tokenizer;
    tokenizer_ = std::make_unique<Tokenizer>(Tokenizer::load(folder));
    bool has_config = stdfs::is_directory(folder) && stdfs::exists(folder + "/tokenizer_config.json");
    identity_.tokenizer_json = tokenizer_->json();
    identity_.tokenizer_config_json = has_config && config_.objective != Objective::kSft
                                          ? read_file(folder + "/tokenizer_config.json")
                                          : our_tokenizer_config_json();
    fill_vocabulary(json, what);
    json["unha_numerics"] = numerics_name(options_.numerics);
    model_ = build_model(json, what);
    if (model_->vocab_size() < tokenizer_->size()) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"vocab_size\" {} is below the tokenizer's {} ids", what,
                  model_->vocab_size(), tokenizer_->size());
    }
    if (model_->bos_token_id() < 0) throw_error(ErrorCode::kInvalidArgument, "{}: \"bos_token_id\" is missing", what);
    if (config_.sequence_length > model_->max_positions()) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"sequence_length\" {} is beyond the model's {} positions",
                  config_.what, config_.sequence_length, model_->max_positions());
    }
    model_->set_recompute(config_.recompute);
    model_->params().allocate(options_.numerics, true);
    identity_.model_config = json;
  }

  // Keys that follow from the tokenizer may be left out of "model".
  void fill_vocabulary(Json& json, const std::string& what) const {
    if (!json.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: expected an object", what);
    if (!json.contains("vocab_size")) json["vocab_size"] = tokenizer_->size();
    for (auto [key, token] : {std::pair{"bos_token_id", "<bos>"}, std::pair{"eos_token_id", "<eos>"}}) {
      std::optional<int32_t> id = tokenizer_->id_of(token);
      if (!json.contains(key) && id) json[key] = *id;
    }
  }

  void open_data() {
    auto bos = static_cast<int32_t>(model_->bos_token_id());
    auto eos = static_cast<int32_t>(model_->eos_token_id());
    documents_ = config_.objective == Objective::kSft ? read_chats(config_.chats, *tokenizer_)
                                                      : open_documents(config_.data, *tokenizer_, bos, eos);
    for (const std::string& path : config_.heldout) {
      heldout_.push_back(read_heldout(path, config_.eval_bytes, *tokenizer_, bos));
    }
  }

  // Settings that decide the result; content stands for paths.
  void describe() {
    const OptimizerConfig& o = config_.optimizer;
    const ScheduleConfig& s = config_.schedule;
    Json heldout = Json::array();
    for (const HeldoutText& text : heldout_) heldout.push_back(text.sha256);
    identity_.settings = {{"model", identity_.model_config},
                          {"init", init_ ? Json(Sha256::of(weights_digest())) : Json()},
                          {"tokenizer", tokenizer_->sha256()},
                          {"objective", config_.objective == Objective::kSft ? "sft" : "pretrain"},
                          {"data", documents_->digest()},
                          {"heldout", heldout},
                          {"steps", config_.steps},
                          {"seed", config_.seed},
                          {"batch_tokens", config_.batch_tokens},
                          {"sequence_length", config_.sequence_length},
                          {"gradient_groups", config_.gradient_groups},
                          {"document_mask", config_.document_mask},
                          {"numerics", numerics_name(options_.numerics)},
                          {"optimizer",
                           {{"lr", o.lr},
                            {"betas", {o.beta1, o.beta2}},
                            {"eps", o.eps},
                            {"weight_decay", o.weight_decay},
                            {"clip", o.clip},
                            {"engram_lr_factor", o.engram_lr_factor},
                            {"warmup_steps", s.warmup_steps}}},
                          {"schedule",
                           {{"plateau_end", s.plateau_end},
                            {"cosine_end", s.cosine_end},
                            {"tail_end", s.tail_end},
                            {"tail_factor", s.tail_factor},
                            {"last_factor", s.last_factor}}},
                          {"mtp_weight", {s.mtp_weight, s.mtp_weight_late}},
                          {"router_bias_speed", s.router_bias_speed},
                          {"balance_alpha", config_.balance_alpha},
                          {"recompute", config_.recompute},
                          {"eval_every", config_.eval_every},
                          {"eval_bytes", config_.eval_bytes},
                          {"save_every", config_.save_every},
                          {"save_minutes", config_.save_minutes}};
  }

  // A model's identity: its tensors' bytes.
  std::string weights_digest() const {
    std::string all;
    for (const auto& [name, info] : init_->tensors()) {
      all += name + Sha256::of({reinterpret_cast<const char*>(info.data), static_cast<size_t>(info.bytes)});
    }
    return all;
  }

  void start() {
    Ctx& ctx = trainer_->ctx();
    if (last_) {
      restore_run(last_->path, identity_, *model_, *trainer_);
      note(fmt::format("resuming at step {} of {}", trainer_->steps_done(), config_.steps));
    } else if (init_) {
      trainer_->optimizer().take_values(ctx, *init_);
      model_->bound();
    } else {
      trainer_->optimizer().create(ctx, static_cast<uint64_t>(config_.seed));
      if (EngramMemory* engram = model_->engram()) engram->create(make_canonical_ids(*tokenizer_).map);
    }
    if (options_.resume && !last_) note(fmt::format("{}: there is no checkpoint, starting at step 0", options_.out));
    ModelCosts costs = model_->costs(config_.sequence_length);
    flops_per_token_ = costs.training_flops_per_token;
    note(fmt::format("{:.2f} M parameters, {:.2f} M active; {} documents, {:.2f} M tokens; {} steps of {} tokens, {}",
                     static_cast<double>(costs.parameters_total) / 1e6,
                     static_cast<double>(costs.parameters_active) / 1e6, documents_->count(),
                     static_cast<double>(documents_->tokens()) / 1e6, config_.steps, config_.batch_tokens,
                     numerics_name(options_.numerics)));
    log_ = std::make_unique<RunLog>(fs_, options_.out, trainer_->steps_done());
    Json header = {{"event", "start"}, {"step", trainer_->steps_done()}, {"time", unix_time()}};
    header.update(options_.log_header);
    header["out"] = options_.out;
    header["threads"] = threads_.count();
    header["isa"] = isa_name(options_.isa);
    header["parameters"] = costs.parameters_total;
    header["parameters_active"] = costs.parameters_active;
    header["training_flops_per_token"] = costs.training_flops_per_token;
    header["settings"] = identity_.settings;
    log_->write(header);
  }

  void save() {
    auto begin = Clock::now();
    checkpoint_ = save_run(fs_, options_.out, identity_, *model_, *trainer_);
    saved_step_ = trainer_->steps_done();
    saved_at_ = Clock::now();
    log_->write({{"event", "saved"}, {"step", saved_step_}, {"time", unix_time()}, {"seconds", seconds_since(begin)}});
  }

  void evaluate() {
    if (heldout_.empty()) return;
    auto begin = Clock::now();
    Json files = Json::array();
    double bits = 0, bytes = 0;
    for (const HeldoutText& text : heldout_) {
      double bpb = heldout_bpb(trainer_->ctx(), *model_, text, config_.sequence_length);
      files.push_back({{"file", base_name(text.path)}, {"bytes", text.bytes}, {"bpb", bpb}});
      bits += bpb * static_cast<double>(text.bytes);
      bytes += static_cast<double>(text.bytes);
    }
    bpb_ = bits / bytes;
    log_->write({{"event", "heldout"},
                 {"step", trainer_->steps_done()},
                 {"bpb", bpb_},
                 {"files", files},
                 {"seconds", seconds_since(begin)}});
  }

  void report(const StepStats& s, double seconds) {
    double tokens_per_s = static_cast<double>(s.tokens) / seconds;
    recent_seconds_ = recent_seconds_ == 0 ? seconds : 0.9 * recent_seconds_ + 0.1 * seconds;
    Json line = {{"step", s.step},
                 {"tokens", trainer_->tokens_done()},
                 {"targets", s.targets},
                 {"loss", s.loss},
                 {"loss_mtp", s.loss_mtp},
                 {"loss_balance", s.loss_balance},
                 {"lr", s.lr},
                 {"grad_norm", s.grad_norm},
                 {"clipped", s.clipped},
                 {"max_vio", s.max_vio},
                 {"tokens_per_s", tokens_per_s},
                 {"tflops", tokens_per_s * flops_per_token_ / 1e12},
                 {"epoch", trainer_->loader().cursor().epoch},
                 {"time", unix_time()}};
    log_->write(line);
    if (!events_.progress) return;
    double smooth = static_cast<double>(s.tokens) / recent_seconds_;
    events_.progress({s, config_.steps, smooth, smooth * flops_per_token_ / 1e12,
                      static_cast<double>(config_.steps - s.step) * recent_seconds_, bpb_});
  }

  bool save_due(int64_t step) const {
    if (config_.save_every > 0 && step % config_.save_every == 0) return true;
    return config_.save_minutes > 0 && seconds_since(saved_at_) >= 60 * config_.save_minutes;
  }

  StepStats guarded_step() {
    try {
      return trainer_->step();
    } catch (const DivergedError& e) {
      std::string path = fmt::format("{}/diverged-{:08}.json", options_.out, trainer_->steps_done() + 1);
      write_file_atomic(fs_, path, trainer_->batch_json());
      log_->write({{"event", "diverged"}, {"step", trainer_->steps_done() + 1}, {"what", e.message()}});
      throw DivergedError(e.code(), e.message() + "; its batch is in " + path, e.hint());
    }
  }

  RunResult loop() {
    RunResult result;
    saved_at_ = Clock::now();
    if (last_) {
      checkpoint_ = last_->path;
      saved_step_ = trainer_->steps_done();
    }
    int64_t last = options_.stop_after > 0 ? options_.stop_after : config_.steps;
    while (trainer_->steps_done() < last && !result.stopped) {
      auto begin = Clock::now();
      StepStats stats = guarded_step();
      report(stats, seconds_since(begin));
      bool end = stats.step == config_.steps;
      if (end || (config_.eval_every > 0 && stats.step % config_.eval_every == 0)) evaluate();
      result.stopped = !end && events_.stop && events_.stop();
      if (stats.step == last || result.stopped || save_due(stats.step)) save();
    }
    result.steps_done = trainer_->steps_done();
    result.finished = result.steps_done == config_.steps;
    result.checkpoint = checkpoint_;
    return result;
  }

  const TrainConfig& config_;
  const RunOptions& options_;
  const RunEvents& events_;
  Threads& threads_;
  FileSystem& fs_;
  std::optional<LastCheckpoint> last_;
  std::unique_ptr<Checkpoint> init_;
  std::unique_ptr<Tokenizer> tokenizer_;
  RunIdentity identity_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Documents> documents_;
  std::vector<HeldoutText> heldout_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<RunLog> log_;
  double flops_per_token_ = 0;
  double recent_seconds_ = 0;
  double bpb_ = 0;
  std::string checkpoint_;
  int64_t saved_step_ = -1;
  Clock::time_point saved_at_;
};

}  // namespace

RunResult run_training(const TrainConfig& config, const RunOptions& options, const RunEvents& events, Threads& threads,
                       FileSystem& fs) {
  return Run(config, options, events, threads, fs).go();
}

}  // namespace unha
