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
  ShardDocuments(const std::vector<TrainConfig::Source>& sources, const Tokenizer& tokenizer, int32_t bos) : bos_(bos) {
    for (const TrainConfig::Source& source : sources) {
      TokenShards shards = TokenShards::open(source.path);
      shards.require_tokenizer(tokenizer.sha256());
      shards.validate(tokenizer.size());
      first_.push_back(first_.back() + shards.documents());
      tokens_ += shards.tokens();
      shards_.push_back(std::move(shards));
      weights_.push_back(source.weight);
    }
    if (count() == 0 || tokens_ == 0) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: the corpus is empty", sources.front().path),
                  "build one with `unha corpus build` and `unha corpus encode`");
    }
  }

  int64_t count() const override { return first_.back(); }
  int64_t tokens() const override { return tokens_; }
  double weight(int64_t i) const override { return weights_[place(i)]; }

  void read(int64_t i, Document& out) const override {
    size_t s = place(i);
    int64_t in_shard = i - first_[s];
    int64_t n = shards_[s].document(in_shard).tokens;
    out.ids.resize(static_cast<size_t>(n) + 1);
    out.learned.resize(static_cast<size_t>(n) + 1);
    shards_[s].copy_ids(in_shard, 0, n, out.ids.data() + 1);
    shards_[s].copy_mask(in_shard, 0, n, out.learned.data() + 1);
    out.ids[0] = bos_;
    out.learned[0] = 0;
    if (n > 0 && out.ids[1] == bos_) {
      out.ids.erase(out.ids.begin());
      out.learned.erase(out.learned.begin());
    }
  }

  std::string digest() const override {
    Sha256 sha;
    for (size_t s = 0; s < shards_.size(); ++s) sha.update(fmt::format("{} {}\n", shards_[s].digest(), weights_[s]));
    return sha.hex();
  }

 private:
  size_t place(int64_t i) const {
    return static_cast<size_t>(std::upper_bound(first_.begin(), first_.end(), i) - first_.begin()) - 1;
  }

  int32_t bos_;
  std::vector<TokenShards> shards_;
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

std::unique_ptr<Documents> open_shards(const std::vector<TrainConfig::Source>& sources, const Tokenizer& tokenizer,
                                       int32_t bos) {
  return std::make_unique<ShardDocuments>(sources, tokenizer, bos);
}

std::unique_ptr<Documents> read_chats(const std::vector<std::string>& paths, const Tokenizer& tokenizer) {
  return std::make_unique<ChatDocuments>(paths, tokenizer);
}

}  // namespace unha
