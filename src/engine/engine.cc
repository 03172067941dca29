// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "engine/session.h"
#include "ops/linear.h"

namespace unha {

namespace {

constexpr size_t kSessionsAtOnce = 64;  // more are fine, they only allocate

int64_t pick_context(const Model& model, int64_t asked, const std::string& what) {
  if (asked < 0 || asked > model.max_positions()) {
    throw Error(ErrorCode::kUsage,
                fmt::format("{}: a context of {} tokens was asked for, the model has {} positions", what, asked,
                            model.max_positions()),
                "give a smaller --ctx");
  }
  return asked > 0 ? asked : std::min(model.max_positions(), kDefaultContext);
}

}  // namespace

std::unique_ptr<Engine> Engine::open(const std::string& path, const EngineOptions& options) {
  LoadedModel loaded;
  loaded.source = open_source(path);
  const ModelSource& source = *loaded.source;
  std::string what = source.path() + "/config.json";
  Json config = read_model_config(source);
  loaded.model = build_model(config, what, options.allow_unknown_keys);
  loaded.numerics = options.numerics ? *options.numerics : default_numerics(config, what);
  int64_t context = pick_context(*loaded.model, options.context, path);
  ParamStore& params = loaded.model->params();
  std::vector<std::string> misfits;
  std::vector<Binding> bindings = params.match(source, &misfits);
  params.refuse_misfits(source, misfits);
  PlanInput input{loaded.numerics, context, options.prefill_chunk, options.threads};
  MemoryPlan plan = plan_memory(*loaded.model, source, bindings, input);
  int64_t limit = options.memory_limit > 0 ? options.memory_limit : available_memory();
  refuse_too_large(plan, limit, options.allow_mmap, context, path);
  if (options.planned) options.planned(plan);
  params.bind(loaded.source, loaded.numerics, options.progress, !options.allow_mmap);
  loaded.model->bound();
  std::unique_ptr<Engine> engine(new Engine(std::move(loaded), options, context));
  engine->plan_ = plan;
  engine->load_text();
  return engine;
}

Engine::Engine(std::unique_ptr<Model> model, Numerics numerics, const EngineOptions& options)
    : Engine(LoadedModel{std::move(model), nullptr, numerics}, options, 0) {
  context_ = pick_context(*loaded_.model, options.context, "model");
}

Engine::Engine(LoadedModel loaded, const EngineOptions& options, int64_t context)
    : loaded_(std::move(loaded)),
      threads_(options.threads),
      isa_(options.isa),
      ctx_(make_ctx(arena_, threads_, loaded_.numerics, options.isa)),
      context_(context),
      prefill_chunk_(std::max<int64_t>(options.prefill_chunk, 1)),
      decode_weight_bytes_(unha::decode_weight_bytes(*loaded_.model, ctx_.operand())) {
  UNHA_CHECK(loaded_.numerics != Numerics::kF64, "the class f64 is for tests of ops");
  ids_.reserve(static_cast<size_t>(prefill_chunk_) + kSessionsAtOnce);
  segments_.reserve(kSessionsAtOnce);
  caches_.reserve(kSessionsAtOnce);
}

TokenizerConfig read_tokenizer_config(const ModelSource& source) {
  return TokenizerConfig::from_files(
      [&](const std::string& name) -> std::optional<std::string> {
        if (!source.has_file(name)) return std::nullopt;
        return source.read_text(name);
      },
      source.path());
}

std::optional<Tokenizer> read_tokenizer(const ModelSource& source, const Model& model) {
  if (!source.has_file("tokenizer.json")) return std::nullopt;
  Tokenizer tokenizer = Tokenizer::parse(source.read_text("tokenizer.json"), source.path() + "/tokenizer.json");
  if (tokenizer.size() > model.vocab_size()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: the tokenizer has {} tokens, the model's vocabulary {}", source.path(),
                            tokenizer.size(), model.vocab_size()),
                "the tokenizer belongs to another model");
  }
  return tokenizer;
}

void Engine::load_text() {
  constexpr const char* kGeneration = "generation_config.json";
  if (const ModelSource& source = *loaded_.source; source.has_file(kGeneration)) {
    generation_end_ids_ = generation_end_ids(source.read_text(kGeneration), source.path() + "/" + kGeneration);
  }
  tokenizer_ = read_tokenizer(*loaded_.source, model());
  if (tokenizer_) tokenizer_config_ = read_tokenizer_config(*loaded_.source);
}

const Tokenizer& Engine::need_tokenizer() const {
  if (!tokenizer_) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: the model has no tokenizer.json", source() ? source()->path() : "model"),
                "give token ids with --ids");
  }
  return *tokenizer_;
}

std::vector<int32_t> generation_end_ids(std::string_view text, const std::string& what) {
  Json json = parse_json(text, what);
  if (!json.is_object()) throw_error(ErrorCode::kInvalidArgument, "{}: expected an object", what);
  Json found = json.value("eos_token_id", Json());
  if (found.is_null()) return {};
  std::vector<int32_t> ids;
  for (const Json& id : found.is_array() ? found : Json::array({found})) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"eos_token_id\": expected an id or a list of ids", what);
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

std::vector<int32_t> Engine::end_ids() const {
  std::vector<int32_t> ids = generation_end_ids_;
  for (int64_t id : loaded_.model->eos_token_ids()) ids.push_back(static_cast<int32_t>(id));
  if (tokenizer_ && tokenizer_config_.eos_token) {
    if (auto id = tokenizer_->id_of(*tokenizer_config_.eos_token)) ids.push_back(*id);
  }
  return ids;
}

int32_t Engine::bos_id() const {
  if (tokenizer_ && tokenizer_config_.bos_token) {
    if (auto id = tokenizer_->id_of(*tokenizer_config_.bos_token)) return *id;
  }
  return static_cast<int32_t>(loaded_.model->bos_token_id());
}

int64_t Engine::drawable_ids() const {
  int64_t vocab = loaded_.model->vocab_size();
  return tokenizer_ ? std::min(vocab, tokenizer_->size()) : vocab;
}

std::vector<int32_t> Engine::encode_raw(std::string_view text) const {
  std::vector<int32_t> ids;
  if (adds_bos()) ids.push_back(bos_id());
  std::vector<int32_t> rest = need_tokenizer().encode(text);
  ids.insert(ids.end(), rest.begin(), rest.end());
  return ids;
}

void Engine::step(std::span<StepItem> items) {
  ids_.clear();
  segments_.clear();
  caches_.clear();
  int64_t wanted = 0;
  for (StepItem& item : items) {
    auto len = static_cast<int64_t>(item.ids.size());
    Session& session = *item.session;
    UNHA_CHECK(len > 0 && item.logit_rows <= len, "{} rows of logits of {} tokens", item.logit_rows, len);
    UNHA_CHECK(session.length() + len <= session.capacity(), "{} tokens behind {}, room for {}", len, session.length(),
               session.capacity());
    segments_.push_back({static_cast<int64_t>(ids_.size()), len, session.length()});
    caches_.push_back(&session.cache_);
    ids_.insert(ids_.end(), item.ids.begin(), item.ids.end());
    wanted += item.logit_rows;
  }
  Tensor h = model().trunk(ctx_, Batch{ids_, segments_, caches_, nullptr});  // [N, D]
  bool alone = items.size() == 1;
  Tensor picked;  // [wanted, D]
  if (wanted > 0) picked = alone ? h.slice_rows(h.rows() - wanted, wanted) : ctx_.make(wanted, h.cols());
  int64_t row = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    StepItem& item = items[i];
    item.hidden = h.slice_rows(segments_[i].begin, segments_[i].len);
    for (int64_t r = segments_[i].len - item.logit_rows; !alone && r < segments_[i].len; ++r) {
      std::memcpy(picked.row<float>(row++), item.hidden.row<float>(r), static_cast<size_t>(h.cols()) * sizeof(float));
    }
    item.session->grown(item.ids);
  }
  if (wanted == 0) return;
  Tensor logits = ops::linear(ctx_, model().final_norm(ctx_, picked), model().head());  // [wanted, V]
  row = 0;
  for (StepItem& item : items) {
    item.logits = logits.slice_rows(row, item.logit_rows);
    row += item.logit_rows;
  }
}

Tensor Engine::mtp(Session& session, Tensor h, std::span<const int32_t> next_ids, int64_t pos0, bool want_logits) {
  Segment segment{0, static_cast<int64_t>(next_ids.size()), pos0};
  SequenceCache* cache = &session.cache_;
  Tensor y = model().mtp(ctx_, 0, h, Batch{next_ids, {&segment, 1}, {&cache, 1}, nullptr});
  if (!want_logits) return {};
  Tensor last = model().mtp_norm(ctx_, 0, y.slice_rows(segment.len - 1, 1));
  return ops::linear(ctx_, last, model().mtp_head(0));
}

}  // namespace unha
