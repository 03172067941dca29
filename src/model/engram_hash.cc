// SPDX-License-Identifier: Apache-2.0
#include "model/engram_hash.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/error.h"
#include "model/pcg64.h"

namespace unha {

namespace {

constexpr int64_t kMaxNgram = 8;
constexpr int64_t kMaxHeads = 64;
constexpr int64_t kMaxRowsPerHead = int64_t{1} << 36;
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();

std::vector<int64_t> int_list(JsonReader& reader, const std::string& key, int64_t low, int64_t high) {
  const Json& list = reader.at(key);
  if (!list.is_array()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" should be a list of integers", reader.what(), key);
  }
  std::vector<int64_t> result;
  for (const Json& entry : list) {
    bool fits = entry.is_number_unsigned() ? entry.get<uint64_t>() <= static_cast<uint64_t>(high)
                                           : entry.is_number_integer() && entry.get<int64_t>() <= high;
    if (!fits || entry.get<int64_t>() < low) {
      throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" has the entry {}, expected integers from {} to {}",
                  reader.what(), key, entry.dump(), low, high);
    }
    result.push_back(entry.get<int64_t>());
  }
  return result;
}

EngramConfig::Gate parse_gate(JsonReader& reader) {
  std::string gate = reader.get<std::string>("gate", "signed_sqrt");
  if (gate == "signed_sqrt") return EngramConfig::Gate::kSignedSqrt;
  if (gate == "plain") return EngramConfig::Gate::kPlain;
  throw_error(ErrorCode::kInvalidArgument, "{}: \"gate\" is \"{}\", expected \"signed_sqrt\" or \"plain\"",
              reader.what(), gate);
}

void check_consistent(const EngramConfig& c, const std::string& what) {
  auto n_sizes = static_cast<int64_t>(c.engram_vocab_size.size());
  if (n_sizes != c.orders()) {
    throw_error(ErrorCode::kInvalidArgument,
                "{}: \"engram_vocab_size\" has {} entries, expected {}, one for each order from 2 to max_ngram_size {}",
                what, n_sizes, c.orders(), c.max_ngram_size);
  }
  if (c.n_embed_per_ngram % c.n_head_per_ngram != 0) {
    throw_error(ErrorCode::kInvalidArgument,
                "{}: \"n_embed_per_ngram\" {} is not a multiple of \"n_head_per_ngram\" {}", what, c.n_embed_per_ngram,
                c.n_head_per_ngram);
  }
  if (c.layer_ids.empty()) throw_error(ErrorCode::kInvalidArgument, "{}: \"layer_ids\" is empty", what);
  std::set<int64_t> distinct(c.layer_ids.begin(), c.layer_ids.end());
  if (distinct.size() != c.layer_ids.size()) {
    throw_error(ErrorCode::kInvalidArgument, "{}: \"layer_ids\" names a layer twice", what);
  }
}

bool is_prime(int64_t n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (int64_t divisor = 3; divisor <= n / divisor; divisor += 2) {
    if (n % divisor == 0) return false;
  }
  return true;
}

int64_t largest_multiplier(int64_t canonical_vocab) { return kMaxInt / canonical_vocab; }

void check_vocab(int64_t canonical_vocab) {
  UNHA_CHECK(canonical_vocab >= 1 && canonical_vocab < int64_t{1} << 29, "canonical vocabulary of {}", canonical_vocab);
}

void lay_out(EngramLayerHash& hash) {
  hash.offsets.clear();
  hash.rows = 0;
  for (int64_t prime : hash.primes) {
    hash.offsets.push_back(hash.rows);
    hash.rows += prime;
  }
}

std::vector<int64_t> draw_multipliers(const EngramConfig& config, int64_t layer, int64_t canonical_vocab) {
  int64_t half = std::max<int64_t>(1, largest_multiplier(canonical_vocab) / 2);
  Pcg64 rng(static_cast<uint64_t>(config.seed + 10007 * layer));
  std::vector<int64_t> result;
  for (int64_t j = 0; j < config.max_ngram_size; ++j) {
    result.push_back(2 * static_cast<int64_t>(rng.below(static_cast<uint64_t>(half))) + 1);
  }
  return result;
}

// Calls f(order index, mix) for each order of the n-grams that end at `position`, shortest first.
template <class F>
void each_mix(const EngramLayerHash& hash, int64_t pad, const int32_t* canonical, int64_t position, const F& f) {
  auto term = [&](int64_t back) {
    int64_t at = position - back;
    auto id = static_cast<uint64_t>(at < 0 ? pad : canonical[at]);
    return id * static_cast<uint64_t>(hash.multipliers[static_cast<size_t>(back)]);
  };
  uint64_t mix = term(0);
  auto N = static_cast<int64_t>(hash.multipliers.size());
  for (int64_t back = 1; back < N; ++back) {
    mix ^= term(back);
    f(back - 1, mix);
  }
}

}  // namespace

EngramConfig parse_engram_config(const Json& json, const std::string& what) {
  JsonReader reader(json, what);
  EngramConfig c;
  c.max_ngram_size = reader.require_int("max_ngram_size", 2, kMaxNgram);
  c.engram_vocab_size = int_list(reader, "engram_vocab_size", 2, kMaxRowsPerHead);
  c.n_head_per_ngram = reader.require_int("n_head_per_ngram", 1, kMaxHeads);
  c.n_embed_per_ngram = reader.require_int("n_embed_per_ngram", 1, kMaxWidth);
  c.layer_ids = int_list(reader, "layer_ids", 0, 9999);
  c.pad_id = reader.require_int("pad_id", 0, std::numeric_limits<int32_t>::max());
  c.seed = reader.require_int("seed", 0, int64_t{1} << 48);
  c.kernel_size = reader.require_int("kernel_size", 0, 16);
  c.hidden_size = reader.require_int("hidden_size", 1, kMaxWidth);
  c.hc_mult = reader.require_int("hc_mult", 1, 16);
  c.gate = parse_gate(reader);
  reader.finish();
  check_consistent(c, what);
  return c;
}

std::vector<EngramLayerHash> derive_hashes(const EngramConfig& config, int64_t canonical_vocab) {
  check_vocab(canonical_vocab);
  std::set<int64_t> seen;  // one for the whole model: no two heads anywhere share a modulus
  std::vector<EngramLayerHash> result;
  for (int64_t layer : config.layer_ids) {
    EngramLayerHash hash;
    hash.multipliers = draw_multipliers(config, layer, canonical_vocab);
    for (int64_t base : config.engram_vocab_size) {
      int64_t candidate = base - 1;
      for (int64_t head = 0; head < config.n_head_per_ngram; ++head) {
        do {
          ++candidate;
        } while (!is_prime(candidate) || seen.contains(candidate));
        seen.insert(candidate);
        hash.primes.push_back(candidate);
      }
    }
    lay_out(hash);
    result.push_back(std::move(hash));
  }
  return result;
}

EngramLayerHash stored_hash(const EngramConfig& config, int64_t canonical_vocab, std::span<const int64_t> multipliers,
                            std::span<const int64_t> primes, const std::string& what) {
  check_vocab(canonical_vocab);
  if (static_cast<int64_t>(multipliers.size()) != config.max_ngram_size ||
      static_cast<int64_t>(primes.size()) != config.columns()) {
    throw_error(ErrorCode::kCorrupt, "{}: hash of {} multipliers and {} moduli, expected {} and {}", what,
                multipliers.size(), primes.size(), config.max_ngram_size, config.columns());
  }
  for (int64_t m : multipliers) {
    if (m < 1 || m > largest_multiplier(canonical_vocab)) {
      throw_error(ErrorCode::kCorrupt, "{}: hash multiplier {}, expected 1 to {} for {} canonical ids", what, m,
                  largest_multiplier(canonical_vocab), canonical_vocab);
    }
  }
  for (int64_t prime : primes) {
    if (prime < 1 || prime > 2 * kMaxRowsPerHead) {
      throw_error(ErrorCode::kCorrupt, "{}: hash modulus {}, expected 1 to {}", what, prime, 2 * kMaxRowsPerHead);
    }
  }
  EngramLayerHash hash;
  hash.multipliers.assign(multipliers.begin(), multipliers.end());
  hash.primes.assign(primes.begin(), primes.end());
  lay_out(hash);
  return hash;
}

void row_ids(const EngramLayerHash& hash, int64_t pad, const int32_t* canonical, int64_t begin, int64_t end,
             int64_t* out) {
  size_t columns = hash.primes.size();
  size_t heads = columns / (hash.multipliers.size() - 1);
  for (int64_t position = begin; position < end; ++position, out += columns) {
    each_mix(hash, pad, canonical, position, [&](int64_t order, uint64_t mix) {
      size_t first = static_cast<size_t>(order) * heads;
      for (size_t column = first; column < first + heads; ++column) {
        out[column] = hash.offsets[column] + static_cast<int64_t>(mix % static_cast<uint64_t>(hash.primes[column]));
      }
    });
  }
}

void ngram_mixes(const EngramLayerHash& hash, int64_t pad, const int32_t* canonical, int64_t begin, int64_t end,
                 int64_t* out) {
  size_t orders = hash.multipliers.size() - 1;
  for (int64_t position = begin; position < end; ++position, out += orders) {
    each_mix(hash, pad, canonical, position,
             [&](int64_t order, uint64_t mix) { out[order] = static_cast<int64_t>(mix); });
  }
}

}  // namespace unha
