// SPDX-License-Identifier: Apache-2.0
// Encoding in parallel: a batch of documents is encoded by all threads, then appended in order, so the shards do not
// depend on the number of threads.
#include "corpus/encode.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "corpus/record.h"
#include "io/token_shards.h"

namespace unha::corpus {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kBatch = 4096;

struct Encoded {
  std::vector<int32_t> ids;
  std::vector<uint8_t> mask;  // empty for text
  int64_t text_bytes = 0;
};

// Calls make(i) for each item on all threads; the first Error is thrown here, since parallel regions do not throw.
template <class Make>
std::vector<Encoded> encode_batch(Threads& threads, int64_t begin, int64_t end, const Make& make) {
  std::vector<Encoded> batch(static_cast<size_t>(end - begin));
  std::optional<Error> failure;
  std::mutex mutex;
  threads.parallel_for(end - begin, 16, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      try {
        batch[static_cast<size_t>(i)] = make(begin + i);
      } catch (const Error& error) {
        std::lock_guard<std::mutex> lock(mutex);
        if (!failure) failure = error;
      }
    }
  });
  if (failure) throw Error(*failure);
  return batch;
}

int32_t control_token(const Tokenizer& tokenizer, const char* token) {
  std::optional<int32_t> id = tokenizer.id_of(token);
  if (!id) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("the tokenizer has no token {}", token),
                "train one with `unha tokenizer train`");
  }
  return *id;
}

}  // namespace

std::vector<EncodedSource> encode_corpus(const fs::path& dir, const Tokenizer& tokenizer, Threads& threads,
                                         const ProgressSink& progress) {
  CorpusRecord record = CorpusRecord::open(dir);
  const int32_t bos = control_token(tokenizer, "<bos>");
  const int32_t eos = control_token(tokenizer, "<eos>");
  const ChatTemplate chat_template = ChatTemplate::ours();
  fs::path staging = dir / "train.new";
  std::error_code ignored;
  fs::remove_all(staging, ignored);
  PosixFileSystem file_system;
  file_system.make_dir(staging.string());

  std::vector<EncodedSource> sources;
  Json rows = Json::array();
  size_t done = 0;
  for (const CorpusRecord::Source& source : record.sources()) {
    if (progress) {
      progress({static_cast<double>(done) / static_cast<double>(record.sources().size()), source.name + ": encoding"});
    }
    ++done;
    EncodedSource counts{source.name};
    std::vector<std::vector<Message>> chats = record.chats(source.name);
    std::vector<std::string> documents;
    if (chats.empty()) documents = record.documents(source.name);
    auto n = static_cast<int64_t>(std::max(chats.size(), documents.size()));
    if (n == 0 || source.repeat == 0) continue;
    auto make = [&](int64_t i) {
      Encoded e;
      if (chats.empty()) {
        const std::string& text = documents[static_cast<size_t>(i)];
        e.ids = tokenizer.encode(text, {.parse_added = false, .add_special = false});
        e.ids.insert(e.ids.begin(), bos);
        e.ids.push_back(eos);
        e.text_bytes = static_cast<int64_t>(text.size());
        return e;
      }
      const std::vector<Message>& messages = chats[static_cast<size_t>(i)];
      ChatTemplate::TrainingIds ids = chat_template.encode_for_training(tokenizer, messages);
      e.ids = std::move(ids.ids);
      e.mask.assign(ids.learned.begin(), ids.learned.end());
      for (const Message& message : messages) e.text_bytes += static_cast<int64_t>(message.content.size());
      return e;
    };
    TokenShardWriter writer((staging / (source.name + ".shard")).string(), tokenizer.sha256(), tokenizer.size());
    DocumentKind kind = chats.empty() ? DocumentKind::kText : DocumentKind::kChat;
    for (int64_t pass = 0; pass < source.repeat; ++pass) {
      for (int64_t begin = 0; begin < n; begin += kBatch) {
        for (const Encoded& e : encode_batch(threads, begin, std::min(n, begin + kBatch), make)) {
          writer.append({source.name, kind, e.ids, e.mask, e.text_bytes});
          counts.text_bytes += e.text_bytes;
        }
      }
    }
    counts.documents = writer.documents();
    counts.tokens = writer.tokens();
    std::string sha256 = writer.finish();
    rows.push_back({{"name", counts.name},
                    {"documents", counts.documents},
                    {"tokens", counts.tokens},
                    {"text_bytes", counts.text_bytes},
                    {"sha256", sha256}});
    sources.push_back(std::move(counts));
  }
  Json json{{"format", "unha-encoding"}, {"version", 1},
            {"corpus", record.digest()}, {"tokenizer", tokenizer.sha256()},
            {"vocab", tokenizer.size()}, {"sources", rows}};
  write_file_atomic((staging / "encoding.json").string(), json.dump(1) + "\n");
  // The new folder takes the place of the old one in one step.
  fs::path target = dir / "train";
  if (fs::exists(target, ignored)) {
    file_system.exchange(staging.string(), target.string());
    fs::remove_all(staging, ignored);
  } else {
    file_system.rename(staging.string(), target.string());
  }
  file_system.sync_dir(dir.string());
  if (progress) progress({1.0, "encoded"});
  return sources;
}

}  // namespace unha::corpus
