// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_source.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "base/error.h"
#include "model/gguf_config.h"
#include "model/gguf_model.h"
#include "model/gguf_names.h"
#include "model/gguf_tokenizer.h"

namespace unha {

namespace {
namespace fs = std::filesystem;

constexpr std::pair<std::string_view, GgufArch> kArchitectures[] = {{"deepseek2", GgufArch::kDeepseek2},
                                                                    {"llama", GgufArch::kLlama},
                                                                    {"qwen2", GgufArch::kQwen2},
                                                                    {"qwen3", GgufArch::kQwen3}};

void read_architecture(GgufModel& model) {
  const std::string key = "general.architecture";
  model.architecture = model.metadata().require_string(key);
  std::string known;
  for (const auto& [name, arch] : kArchitectures) {
    model.arch = arch;
    if (name == model.architecture) return;
    known += (known.empty() ? "\"" : ", \"") + std::string(name) + "\"";
  }
  throw_error(ErrorCode::kUnsupported, "{}: architecture {} is not supported; known: {}", model.metadata().file(),
              quoted_name(model.architecture), known);
}

class GgufSource final : public ModelSource {
 public:
  explicit GgufSource(const std::string& path) : model_(open_gguf_model(path)) {
    Json config = gguf_config(model_);
    auto size = [&](const char* key) { return config.value(key, int64_t{0}); };
    tensors_ = gguf_tensors(model_, size("kv_lora_rank"), size("v_head_dim"));
    tokenizer_ = gguf_tokenizer(model_, size("vocab_size"));
    texts_["config.json"] = config.dump(2);
    texts_["tokenizer.json"] = std::move(tokenizer_.json);
    texts_["tokenizer_config.json"] = std::move(tokenizer_.config);
  }

  const std::string& path() const override { return model_.path; }
  bool has_file(const std::string& name) const override { return texts_.contains(name); }
  std::string read_text(const std::string& name) const override {
    auto found = texts_.find(name);
    if (found == texts_.end()) throw_error(ErrorCode::kNotFound, "{}: a GGUF file has no {}", model_.path, name);
    if (name == "tokenizer.json" && tokenizer_.unsupported) throw *tokenizer_.unsupported;
    return found->second;
  }
  const SourceTensor* find(const std::string& name) const override {
    auto place = std::ranges::lower_bound(tensors_, name, {}, &SourceTensor::name);
    return place != tensors_.end() && place->name == name ? &*place : nullptr;
  }
  std::vector<const SourceTensor*> tensors() const override {
    std::vector<const SourceTensor*> list;
    list.reserve(tensors_.size());
    for (const SourceTensor& tensor : tensors_) list.push_back(&tensor);
    return list;
  }

 private:
  GgufModel model_;
  std::vector<SourceTensor> tensors_;
  GgufTokenizer tokenizer_;
  std::map<std::string, std::string> texts_;
};
}  // namespace

GgufModel open_gguf_model(const std::string& path) {
  GgufModel model;
  model.path = path;
  model.files = open_gguf_files(path);
  read_architecture(model);
  for (const GgufFile& file : model.files) {
    for (const GgufTensor& tensor : file.tensors()) model.tensors[tensor.name] = {&tensor, &file.path()};
  }
  return model;
}

bool is_gguf_path(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path.ends_with(".gguf");
  if (fs::exists(fs::path(path) / "config.json", error)) return false;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".gguf") return true;
  }
  return false;
}

std::shared_ptr<const ModelSource> open_gguf_source(const std::string& path) {
  return std::make_shared<const GgufSource>(path);
}

}  // namespace unha
