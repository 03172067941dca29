// SPDX-License-Identifier: Apache-2.0
#include "model/engram_hash.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace unha {
namespace {

using Rows = std::vector<int64_t>;

EngramConfig toy() {
  EngramConfig c;
  c.engram_vocab_size = {100, 100};
  c.max_ngram_size = 3;
  c.n_embed_per_ngram = 8;
  c.n_head_per_ngram = 2;
  c.layer_ids = {1, 3};
  c.hidden_size = 8;
  return c;
}

Rows rows_of(const EngramLayerHash& hash, int64_t pad, const std::vector<int32_t>& ids) {
  Rows out(ids.size() * hash.primes.size());
  row_ids(hash, pad, ids.data(), 0, static_cast<int64_t>(ids.size()), out.data());
  return out;
}

TEST(EngramHash, ToyModelHasTheSpecifiedAddresses) {
  auto hashes = derive_hashes(toy(), 1000);
  ASSERT_EQ(hashes.size(), 2u);
  EXPECT_EQ(hashes[0].multipliers, (Rows{7593627661414631, 479593001838623, 3563315849468963}));
  EXPECT_EQ(hashes[0].primes, (Rows{101, 103, 107, 109}));
  EXPECT_EQ(hashes[0].offsets, (Rows{0, 101, 204, 311}));
  EXPECT_EQ(hashes[0].rows, 420);
  EXPECT_EQ(hashes[1].multipliers, (Rows{2727703110629359, 8091777532450917, 1077915957631161}));
  EXPECT_EQ(hashes[1].primes, (Rows{113, 127, 131, 137}));
  EXPECT_EQ(hashes[1].offsets, (Rows{0, 113, 240, 371}));
  EXPECT_EQ(hashes[1].rows, 508);

  std::vector<int32_t> ids = {5, 17, 17, 999, 3};
  Rows mixes(10);
  ngram_mixes(hashes[0], 7, ids.data(), 0, 5, mixes.data());
  EXPECT_EQ(mixes, (Rows{39704042226003034, 60115980399274159, 126704279998511052, 115608600215810873,
                         132389032778454360, 137670994109946359, 7591933097874243454, 7605668339227877677,
                         501808366543553100, 441913445414738975}));
  EXPECT_EQ(rows_of(hashes[0], 7, ids),
            (Rows{7, 133, 303, 383, 16, 124, 277, 355, 87, 164, 292, 317, 4, 105, 258, 406, 50, 121, 250, 356}));
  EXPECT_EQ(rows_of(hashes[1], 7, ids),
            (Rows{75, 140, 277, 471, 96, 136, 270, 406, 60, 164, 364, 391, 19, 160, 273, 484, 22, 161, 311, 451}));
}

TEST(EngramHash, DemonstrationModelHasTheSpecifiedAddresses) {
  EngramConfig c = toy();
  c.engram_vocab_size = {646400, 646400};
  c.n_embed_per_ngram = 512;
  c.n_head_per_ngram = 8;
  c.layer_ids = {1, 15};
  auto hashes = derive_hashes(c, 98627);
  EXPECT_EQ(hashes[0].multipliers, (Rows{76993395940407, 4862694818241, 36129212583461}));
  EXPECT_EQ(hashes[1].multipliers, (Rows{29055444938695, 56284491166079, 54183298291715}));
  EXPECT_EQ(hashes[0].primes, (Rows{646403, 646411, 646421, 646423, 646433, 646453, 646519, 646523, 646537, 646543,
                                    646549, 646571, 646573, 646577, 646609, 646619}));
  EXPECT_EQ(hashes[1].primes, (Rows{646631, 646637, 646643, 646669, 646687, 646721, 646757, 646771, 646781, 646823,
                                    646831, 646837, 646843, 646859, 646873, 646879}));
  EXPECT_EQ(hashes[0].rows, 10344164);
  EXPECT_EQ(hashes[1].rows, 10348242);

  std::vector<int32_t> ids = {0, 174, 35, 98626, 39};
  Rows rows = rows_of(hashes[0], 2, ids);
  Rows local(16);
  for (size_t i = 0; i < 16; ++i) local[i] = rows[i] - hashes[0].offsets[i];
  EXPECT_EQ(local, (Rows{525894, 395172, 559165, 204669, 374248, 80933, 214739, 170590, 167317, 190172, 226935, 49676,
                         513067, 151339, 66287, 605785}));
  rows = rows_of(hashes[1], 2, ids);
  for (size_t i = 0; i < 16; ++i) local[i] = rows[64 + i] - hashes[1].offsets[i];
  EXPECT_EQ(local, (Rows{195453, 535227, 546252, 456831, 122751, 50552, 546464, 338138, 8779, 593653, 33546, 203882,
                         342531, 498909, 276834, 313940}));
  // At position 2 the oldest token has id 0, which contributes nothing.
  Rows mixes(10);
  ngram_mixes(hashes[0], 2, ids.data(), 0, 5, mixes.data());
  EXPECT_EQ(mixes[4], 2976828156488363);
  EXPECT_EQ(mixes[5], 2976828156488363);
}

TEST(EngramHash, PrimesOfThePaperSizesContinueAcrossLayers) {
  EngramConfig c = toy();
  c.engram_vocab_size = {2262400, 2262400};
  c.n_head_per_ngram = 8;
  c.layer_ids = {2, 15};
  auto hashes = derive_hashes(c, 98627);
  EXPECT_EQ(hashes[0].primes.front(), 2262409);
  EXPECT_EQ(hashes[0].primes.back(), 2262619);
  EXPECT_EQ(hashes[1].primes.front(), 2262629);
  EXPECT_EQ(hashes[1].primes.back(), 2262859);
}

TEST(EngramHash, TrainingSizesEndWhereTheSpecificationSays) {
  EngramConfig c = toy();
  c.n_head_per_ngram = 4;
  c.layer_ids = {1};
  c.engram_vocab_size = {26813, 26813};
  EXPECT_EQ(derive_hashes(c, 3000)[0].primes.back(), 26879);
  c.layer_ids = {1, 4};
  c.engram_vocab_size = {48463, 48463};
  EXPECT_EQ(derive_hashes(c, 3000)[1].primes.back(), 48593);
}

TEST(EngramHash, EverySplitOfASequenceGivesTheSameRows) {
  auto hash = derive_hashes(toy(), 1000)[0];
  std::vector<int32_t> ids = {5, 17, 17, 999, 3, 0, 0, 4, 17, 17};
  Rows whole = rows_of(hash, 7, ids);
  auto n = static_cast<int64_t>(ids.size());
  for (int64_t split = 0; split <= n; ++split) {
    Rows parts(whole.size());
    row_ids(hash, 7, ids.data(), 0, split, parts.data());
    row_ids(hash, 7, ids.data(), split, n, parts.data() + split * 4);
    EXPECT_EQ(parts, whole) << split;
  }
}

TEST(EngramHash, StoredNumbersAreCheckedBeforeUse) {
  EngramConfig c = toy();
  auto hash = derive_hashes(c, 1000)[0];
  EXPECT_EQ(stored_hash(c, 1000, hash.multipliers, hash.primes, "layer 1"), hash);
  auto refused = [&](const Rows& multipliers, const Rows& primes) {
    EXPECT_THROW(stored_hash(c, 1000, multipliers, primes, "layer 1"), Error);
  };
  refused({1, 3}, hash.primes);
  refused(hash.multipliers, {101, 103, 107});
  refused({-1, 3, 5}, hash.primes);
  refused({INT64_MAX, 3, 5}, hash.primes);
  refused(hash.multipliers, {101, 103, 0, 109});
  refused(hash.multipliers, {101, 103, INT64_MAX, 109});
}

Json good_config() {
  return parse_json(R"({"engram_vocab_size": [61, 61], "max_ngram_size": 3, "n_embed_per_ngram": 16,
                        "n_head_per_ngram": 4, "layer_ids": [1, 3], "pad_id": 2, "seed": 0, "kernel_size": 4,
                        "hidden_size": 24, "hc_mult": 4})",
                    "test");
}

TEST(EngramConfig, ReadsTheDemonstrationsKeysAndOurGate) {
  EngramConfig c = parse_engram_config(good_config(), "config.json: engram");
  EXPECT_EQ(c.columns(), 8);
  EXPECT_EQ(c.row_width(), 4);
  EXPECT_EQ(c.width(), 32);
  EXPECT_TRUE(c.gate == EngramConfig::Gate::kSignedSqrt);
  Json json = good_config();
  json["gate"] = "plain";
  EXPECT_TRUE(parse_engram_config(json, "config.json: engram").gate == EngramConfig::Gate::kPlain);
}

TEST(EngramConfig, RefusesWhatItDoesNotUnderstandByName) {
  auto expect_refused = [](const char* key, const char* value, const std::string& mention) {
    Json json = good_config();
    json[key] = parse_json(value, "test");
    try {
      parse_engram_config(json, "config.json: engram");
      ADD_FAILURE() << key << " = " << value << " was accepted";
    } catch (const Error& error) {
      EXPECT_NE(error.message().find("config.json: engram"), std::string::npos) << error.message();
      EXPECT_NE(error.message().find(mention), std::string::npos) << error.message();
    }
  };
  expect_refused("engram_vocab_size", "[61]", "engram_vocab_size");
  expect_refused("engram_vocab_size", "[61, 1]", "engram_vocab_size");
  expect_refused("engram_vocab_size", "[61, 1e3]", "engram_vocab_size");
  expect_refused("engram_vocab_size", "[61, 18446744073709551615]", "engram_vocab_size");
  expect_refused("engram_vocab_size", "61", "engram_vocab_size");
  expect_refused("n_embed_per_ngram", "18", "n_head_per_ngram");
  expect_refused("n_head_per_ngram", "0", "n_head_per_ngram");
  expect_refused("layer_ids", "[]", "layer_ids");
  expect_refused("layer_ids", "[1, 1]", "layer_ids");
  expect_refused("layer_ids", "[-1]", "layer_ids");
  expect_refused("max_ngram_size", "1", "max_ngram_size");
  expect_refused("kernel_size", "17", "kernel_size");
  expect_refused("hc_mult", "0", "hc_mult");
  expect_refused("gate", "\"softmax\"", "softmax");
  expect_refused("gates", "1", "gates");
}

}  // namespace
}  // namespace unha
