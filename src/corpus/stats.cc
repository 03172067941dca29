// SPDX-License-Identifier: Apache-2.0
#include "corpus/stats.h"

#include "base/error.h"
#include "corpus/dedup.h"
#include "corpus/record.h"
#include "io/file.h"
#include "io/token_shards.h"

namespace unha::corpus {
namespace fs = std::filesystem;

namespace {

constexpr int kShortRun = 8;

// Tokens of each source from its shard; a document's own, so repeats are divided out.
void add_tokens(const fs::path& dir, CorpusStats& stats) {
  int64_t bytes = 0, tokens = 0;
  for (SourceStats& source : stats.sources) {
    fs::path path = dir / "train" / (source.name + ".shard");
    if (!fs::exists(path)) continue;
    TokenShards shard = TokenShards::open(path.string());
    stats.tokenizer = shard.tokenizer_sha256();
    stats.trained_tokens += shard.tokens();
    source.tokens = shard.tokens() / std::max<int64_t>(1, source.repeat);
    source.bytes_per_token =
        static_cast<double>(shard.text_bytes()) / static_cast<double>(std::max<int64_t>(1, shard.tokens()));
    tokens += *source.tokens;
    bytes += shard.text_bytes() / std::max<int64_t>(1, source.repeat);
  }
  if (tokens == 0) return;
  stats.total.tokens = tokens;
  stats.total.bytes_per_token = static_cast<double>(bytes) / static_cast<double>(tokens);
}

std::optional<double> share_of(const OverlapFinder::Share& share) {
  if (share.runs == 0) return std::nullopt;
  return static_cast<double>(share.marked) / static_cast<double>(share.runs);
}

void add_overlap(const CorpusRecord& record, CorpusStats& stats) {
  OverlapFinder thirteen(OverlapFinder::kWords);
  OverlapFinder eight(kShortRun);
  for (size_t i = 0; i < stats.sources.size(); ++i) {
    std::string file = "heldout/" + stats.sources[i].name + ".txt";
    std::string text = record.has(file) ? record.read(file) : "";
    thirteen.add_heldout(text, i);
    eight.add_heldout(text, i);
  }
  for (const SourceStats& source : stats.sources) {
    for (const std::string& document : record.documents(source.name)) {
      thirteen.mark_training(document);
      eight.mark_training(document);
    }
  }
  OverlapFinder::Share all[2];
  for (int k = 0; k < 2; ++k) {
    std::vector<OverlapFinder::Share> shares = (k == 0 ? thirteen : eight).shares();
    for (size_t i = 0; i < stats.sources.size(); ++i) {
      (k == 0 ? stats.sources[i].overlap_13 : stats.sources[i].overlap_8) = share_of(shares[i]);
      all[k].runs += shares[i].runs;
      all[k].marked += shares[i].marked;
    }
  }
  stats.total.overlap_13 = share_of(all[0]);
  stats.total.overlap_8 = share_of(all[1]);
}

}  // namespace

CorpusStats corpus_stats(const fs::path& dir) {
  CorpusRecord record = CorpusRecord::open(dir);
  CorpusStats stats;
  JsonReader top(record.json(), (dir / "corpus.json").string());
  stats.name = top.require<std::string>("name");
  stats.digest = record.digest();
  stats.total.name = "total";
  constexpr int64_t kMax = int64_t{1} << 50;
  for (const Json& json : record.json()["sources"]) {
    JsonReader reader(json, (dir / "corpus.json").string());
    SourceStats s;
    s.name = reader.require<std::string>("name");
    s.repeat = reader.require_int("repeat", 0, 1000);
    s.chats = reader.require_int("chats", 0, kMax);
    s.documents = reader.require_int("documents", 0, kMax) + s.chats;
    s.bytes = reader.require_int("bytes", 0, kMax) + reader.require_int("chat_bytes", 0, kMax);
    s.eval_questions = reader.require_int("eval_questions", 0, kMax);
    s.heldout_documents = reader.require_int("heldout_documents", 0, kMax);
    s.heldout_bytes = reader.require_int("heldout_bytes", 0, kMax);
    for (auto member : {&SourceStats::documents, &SourceStats::bytes, &SourceStats::chats, &SourceStats::eval_questions,
                        &SourceStats::heldout_documents, &SourceStats::heldout_bytes}) {
      stats.total.*member += s.*member;
    }
    stats.sources.push_back(std::move(s));
  }
  add_tokens(dir, stats);
  add_overlap(record, stats);
  return stats;
}

}  // namespace unha::corpus
