// SPDX-License-Identifier: Apache-2.0
#include "train/documents.h"

#include <algorithm>

#include "base/error.h"
#include "base/sha256.h"
#include "io/file.h"
#include "io/token_shards.h"
#include "text/chat_template.h"

namespace unha {

namespace {

class ShardDocuments final : public Documents {
 public:
  ShardDocuments(const std::string& path, const Tokenizer& tokenizer, int32_t bos)
      : bos_(bos), shards_(TokenShards::open(path)) {
    shards_.require_tokenizer(tokenizer.sha256());
    shards_.validate(tokenizer.size());
  }

  int64_t count() const override { return shards_.documents(); }
  int64_t tokens() const override { return shards_.tokens(); }
  double weight(int64_t) const override { return 1; }
  std::string digest() const override { return shards_.digest(); }

  void read(int64_t i, Document& out) const override {
    int64_t n = shards_.document(i).tokens;
    out.ids.resize(static_cast<size_t>(n) + 1);
    out.learned.resize(static_cast<size_t>(n) + 1);
    shards_.copy_ids(i, 0, n, out.ids.data() + 1);
    shards_.copy_mask(i, 0, n, out.learned.data() + 1);
    out.ids[0] = bos_;
    out.learned[0] = 0;
    if (n > 0 && out.ids[1] == bos_) {
      out.ids.erase(out.ids.begin());
      out.learned.erase(out.learned.begin());
    }
  }

 private:
  int32_t bos_;
  TokenShards shards_;
};

// Documents apart by two blank lines, encoded here: for small texts.
class TextDocuments final : public Documents {
 public:
  TextDocuments(const std::string& path, const Tokenizer& tokenizer, int32_t bos, int32_t eos) {
    std::string text = read_file(path);
    digest_ = Sha256::of(text);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (size_t begin = 0; begin < text.size();) {
      size_t end = std::min(text.find(kSeparator, begin), text.size());
      std::vector<int32_t> ids =
          tokenizer.encode(std::string_view(text).substr(begin, end - begin), {.parse_added = false});
      ids.insert(ids.begin(), bos);
      if (eos >= 0) ids.push_back(eos);
      tokens_ += static_cast<int64_t>(ids.size());
      std::vector<uint8_t> learned(ids.size(), 1);
      documents_.push_back({std::move(ids), std::move(learned)});
      begin = end + kSeparator.size();
    }
  }

  int64_t count() const override { return static_cast<int64_t>(documents_.size()); }
  int64_t tokens() const override { return tokens_; }
  double weight(int64_t) const override { return 1; }
  std::string digest() const override { return digest_; }
  void read(int64_t i, Document& out) const override { out = documents_[static_cast<size_t>(i)]; }

 private:
  static constexpr std::string_view kSeparator = "\n\n\n";
  std::vector<Document> documents_;
  int64_t tokens_ = 0;
  std::string digest_;
};

class Mixture final : public Documents {
 public:
  void add(std::unique_ptr<Documents> part, double weight) {
    first_.push_back(first_.back() + part->count());
    tokens_ += part->tokens();
    parts_.push_back(std::move(part));
    weights_.push_back(weight);
  }

  int64_t count() const override { return first_.back(); }
  int64_t tokens() const override { return tokens_; }
  double weight(int64_t i) const override { return weights_[place(i)]; }
  void read(int64_t i, Document& out) const override {
    size_t part = place(i);
    parts_[part]->read(i - first_[part], out);
  }
  std::string digest() const override {
    Sha256 sha;
    for (size_t i = 0; i < parts_.size(); ++i) sha.update(fmt::format("{} {}\n", parts_[i]->digest(), weights_[i]));
    return sha.hex();
  }

 private:
  size_t place(int64_t i) const {
    return static_cast<size_t>(std::upper_bound(first_.begin(), first_.end(), i) - first_.begin()) - 1;
  }

  std::vector<std::unique_ptr<Documents>> parts_;
  std::vector<double> weights_;
  std::vector<int64_t> first_ = {0};
  int64_t tokens_ = 0;
};

class ChatDocuments final : public Documents {
 public:
  ChatDocuments(const std::vector<std::string>& paths, const Tokenizer& tokenizer) {
    ChatTemplate chat_template = ChatTemplate::ours();
    Sha256 sha;
    for (const std::string& path : paths) {
      std::string text = read_file(path);
      sha.update(Sha256::of(text));
      int64_t line = 0;
      for (size_t begin = 0; begin < text.size();) {
        size_t end = std::min(text.find('\n', begin), text.size());
        ++line;
        if (end > begin)
          add(std::string_view(text).substr(begin, end - begin), fmt::format("{}:{}", path, line), chat_template,
              tokenizer);
        begin = end + 1;
      }
    }
    if (chats_.empty()) throw_error(ErrorCode::kInvalidArgument, "{}: there are no chats", paths.front());
    digest_ = sha.hex();
  }

  int64_t count() const override { return static_cast<int64_t>(chats_.size()); }
  int64_t tokens() const override { return tokens_; }
  double weight(int64_t) const override { return 1; }
  void read(int64_t i, Document& out) const override { out = chats_[static_cast<size_t>(i)]; }
  std::string digest() const override { return digest_; }

 private:
  void add(std::string_view row, const std::string& what, const ChatTemplate& chat_template,
           const Tokenizer& tokenizer) {
    Json json = parse_json(row, what);
    JsonReader reader(json, what);
    std::vector<Message> messages = read_messages(reader.at("messages"), what);
    ChatTemplate::TrainingIds ids = chat_template.encode_for_training(tokenizer, messages);
    tokens_ += static_cast<int64_t>(ids.ids.size());
    chats_.push_back({std::move(ids.ids), {ids.learned.begin(), ids.learned.end()}});
  }

  std::vector<Document> chats_;
  int64_t tokens_ = 0;
  std::string digest_;
};

}  // namespace

std::unique_ptr<Documents> open_documents(const std::vector<TrainConfig::Source>& sources, const Tokenizer& tokenizer,
                                          int32_t bos, int32_t eos) {
  auto mixture = std::make_unique<Mixture>();
  for (const TrainConfig::Source& source : sources) {
    if (source.path.ends_with(".txt")) {
      mixture->add(std::make_unique<TextDocuments>(source.path, tokenizer, bos, eos), source.weight);
    } else {
      mixture->add(std::make_unique<ShardDocuments>(source.path, tokenizer, bos), source.weight);
    }
  }
  if (mixture->tokens() == 0) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: the corpus is empty", sources.front().path),
                "build one with `unha corpus build` and `unha corpus encode`");
  }
  return mixture;
}

std::unique_ptr<Documents> read_chats(const std::vector<std::string>& paths, const Tokenizer& tokenizer) {
  return std::make_unique<ChatDocuments>(paths, tokenizer);
}

}  // namespace unha
