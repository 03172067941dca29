// SPDX-License-Identifier: Apache-2.0
#include "text/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/byte_level.h"
#include "text/merge_learner.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace unha {

namespace {

constexpr int64_t kMinCount = 2;
constexpr size_t kChunk = 1 << 20;

struct ControlToken {
  const char* content;
  bool special;  // left out of decoded text on demand; reasoning and answer marks stay in it
};
constexpr std::array<ControlToken, 12> kControlTokens = {{{"<bos>", true},
                                                          {"<eos>", true},
                                                          {"<pad>", true},
                                                          {"<think>", false},
                                                          {"</think>", false},
                                                          {"<answer>", false},
                                                          {"</answer>", false},
                                                          {"<user>", true},
                                                          {"<assistant>", true},
                                                          {"<fim_begin>", true},
                                                          {"<fim_hole>", true},
                                                          {"<fim_end>", true}}};

// Single digits; runs of CJK ideographs and kana; then words, punctuation and white space as DeepSeek V3 splits them.
constexpr std::array<const char*, 3> kSplits = {R"(\p{N})", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
                                                R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^)"
                                                "\r\n"
                                                R"(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[)"
                                                "\r\n"
                                                R"(]*|\s*[)"
                                                "\r\n"
                                                R"(]+|\s+(?!\S)|\s+)"};

Json byte_level_json(bool add_prefix_space, bool trim_offsets, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", trim_offsets},
          {"use_regex", use_regex}};
}

Json pre_tokenizer_json() {
  Json steps = Json::array();
  for (const char* pattern : kSplits) {
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back(byte_level_json(false, true, false));
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

struct ViewHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
};
using Counts = std::unordered_map<std::string, int64_t, ViewHash, std::equal_to<>>;

// What one thread at a time counts with.
struct Counter {
  Counts counts;
  PreTokenizer::Scratch scratch;
};

}  // namespace

struct BpeTrainer::Impl {
  explicit Impl(Threads& t) : threads(t), pre_tokenizer(pre_tokenizer_json(), "our pre_tokenizer") {}

  Threads& threads;
  PreTokenizer pre_tokenizer;
  std::mutex mutex;
  std::vector<std::unique_ptr<Counter>> counters;  // those nobody uses
  int64_t bytes = 0;

  std::unique_ptr<Counter> take() {
    std::lock_guard lock(mutex);
    if (counters.empty()) return std::make_unique<Counter>();
    std::unique_ptr<Counter> counter = std::move(counters.back());
    counters.pop_back();
    return counter;
  }

  void count_lines(std::string_view text, Counter& counter) const {
    while (!text.empty()) {
      size_t end = text.find('\n');
      end = end == std::string_view::npos ? text.size() : end + 1;
      pre_tokenizer.run(text.substr(0, end), counter.scratch, [&](std::string_view word) {
        auto found = counter.counts.find(word);
        if (found == counter.counts.end()) found = counter.counts.emplace(word, 0).first;
        ++found->second;
      });
      text.remove_prefix(end);
    }
  }

  Counts all() const {
    Counts sum;
    for (const auto& counter : counters) {
      for (const auto& [word, count] : counter->counts) sum[word] += count;
    }
    return sum;
  }
};

BpeTrainer::BpeTrainer(Threads& threads) : impl_(std::make_unique<Impl>(threads)) {}
BpeTrainer::~BpeTrainer() = default;

void BpeTrainer::add_text(std::string_view text, const std::string& name) {
  size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: not valid UTF-8 at byte {}", name, invalid),
                "convert it to UTF-8 first, for example with iconv");
  }
  std::vector<std::string_view> chunks;  // of whole lines
  for (std::string_view rest = text; !rest.empty();) {
    size_t end = rest.size() <= kChunk ? std::string_view::npos : rest.find('\n', kChunk);
    end = end == std::string_view::npos ? rest.size() : end + 1;
    chunks.push_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  std::vector<std::optional<Error>> errors(chunks.size());
  impl_->threads.parallel_for(static_cast<int64_t>(chunks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::unique_ptr<Counter> counter = impl_->take();
      try {
        impl_->count_lines(chunks[i], *counter);
      } catch (const Error& e) {
        errors[i] = e;
      }
      std::lock_guard lock(impl_->mutex);
      impl_->counters.push_back(std::move(counter));
    }
  });
  for (const auto& error : errors) {
    if (error) throw Error(error->code(), name + ": " + error->message(), error->hint());
  }
  impl_->bytes += static_cast<int64_t>(text.size());
}

int64_t BpeTrainer::bytes() const { return impl_->bytes; }
int64_t BpeTrainer::distinct_words() const { return static_cast<int64_t>(impl_->all().size()); }

namespace {

// Control tokens, then the bytes in the order of their characters.
std::vector<std::string> initial_symbols(const ByteLevel& bytes) {
  std::vector<std::string> symbols;
  for (const ControlToken& token : kControlTokens) symbols.emplace_back(token.content);
  std::vector<std::pair<char32_t, char>> order;
  for (int byte = 0; byte < 256; ++byte) {
    order.emplace_back(bytes.to_char(static_cast<uint8_t>(byte)), static_cast<char>(byte));
  }
  std::sort(order.begin(), order.end());
  for (const auto& [c, byte] : order) symbols.emplace_back(1, byte);
  return symbols;
}

Json added_tokens_json() {
  Json list = Json::array();
  for (size_t id = 0; id < kControlTokens.size(); ++id) {
    list.push_back({{"id", id},
                    {"content", kControlTokens[id].content},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", kControlTokens[id].special}});
  }
  return list;
}

Json model_json(const LearnedMerges& learned, const ByteLevel& bytes) {
  auto spelled = [&](int32_t id) {
    const std::string& token = learned.tokens[id];
    return static_cast<size_t>(id) < kControlTokens.size() ? token : bytes.spell(token);
  };
  Json model = {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"ignore_merges", false}};
  Json::object_t vocab;
  for (size_t id = 0; id < learned.tokens.size(); ++id) {
    // Appended without a look-up: tokens are distinct, and a list of keys would be searched from its start each time.
    static_cast<Json::object_t::Container&>(vocab).emplace_back(spelled(static_cast<int32_t>(id)), id);
  }
  Json merges = Json::array();
  for (const auto& [left, right] : learned.merges) merges.push_back(spelled(left) + " " + spelled(right));
  model["vocab"] = std::move(vocab);
  model["merges"] = std::move(merges);
  return model;
}

}  // namespace

std::string BpeTrainer::train(int64_t vocab_size) const {
  if (vocab_size < kMinVocab || vocab_size > kMaxVocab) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("vocabulary size {}, expected {} to {}", vocab_size, kMinVocab, kMaxVocab),
                "12 control tokens and 256 bytes are always in it");
  }
  std::vector<CountedWord> words;
  for (const auto& [word, count] : impl_->all()) words.push_back({word, count});
  if (words.empty()) throw_error(ErrorCode::kInvalidArgument, "there is no text to train a tokenizer on");
  ByteLevel bytes;
  LearnedMerges learned =
      learn_merges(words, initial_symbols(bytes), static_cast<int64_t>(kControlTokens.size()), vocab_size, kMinCount);
  Json file = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", added_tokens_json()},
               {"normalizer", nullptr},
               {"pre_tokenizer", pre_tokenizer_json()},
               {"post_processor", byte_level_json(true, false, true)},
               {"decoder", byte_level_json(true, true, true)}};
  file["model"] = model_json(learned, bytes);
  return file.dump(1);
}

}  // namespace unha
