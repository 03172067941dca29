// SPDX-License-Identifier: Apache-2.0
#include "train/data_loader.h"

#include <gtest/gtest.h>

#include <map>

#include "train/test_model.h"

namespace unha {

namespace {
PackConfig packing(int64_t length, int64_t rows) {
  PackConfig c;
  c.sequence_length = length;
  c.rows = rows;
  c.ahead = 2;
  c.seed = 3;
  return c;
}

// Documents whose tokens are all different: document i is <bos> then 100 i + 3 ...
TestDocuments numbered(int64_t count, const std::vector<int64_t>& lengths) {
  std::vector<Document> documents;
  for (int64_t i = 0; i < count; ++i) {
    Document d;
    d.ids = {0};
    int64_t n = lengths[static_cast<size_t>(i) % lengths.size()];
    for (int64_t t = 1; t < n; ++t) d.ids.push_back(static_cast<int32_t>(100 * (i + 1) + t));
    d.learned.assign(d.ids.size(), 1);
    documents.push_back(std::move(d));
  }
  return TestDocuments(std::move(documents));
}
}  // namespace

TEST(DataLoader, MakesEveryTokenATargetExactlyOncePerEpoch) {
  for (bool mask : {true, false}) {
    TestDocuments documents = numbered(20, {2, 5, 17, 33, 90, 16});
    PackConfig c = packing(16, 3);
    c.document_mask = mask;
    DataLoader loader(documents, c);
    std::map<int32_t, int> seen[2];
    while (loader.cursor().epoch == 0) {
      if (loader.cursor().index >= documents.count()) break;
      for (const PackedRows& rows : loader.next()) {
        ASSERT_EQ(rows.ids.size(), 48u);
        for (int k = 0; k < 2; ++k) {
          for (int32_t target : rows.targets[k]) ++seen[k][target];
        }
      }
    }
    Document d;
    for (int64_t i = 0; i < documents.count(); ++i) {
      documents.read(i, d);
      for (size_t t = 1; t < d.ids.size(); ++t) {
        EXPECT_GE(seen[0][d.ids[t]], 1);
        EXPECT_LE(seen[0][d.ids[t]], 2);  // a second time only where the next epoch had begun
        if (t >= 2) {
          EXPECT_GE(seen[1][d.ids[t]], 1);
        }
      }
    }
  }
}

TEST(DataLoader, StartsEveryRowWithBosAndShiftsInsideTheDocument) {
  TestDocuments documents = numbered(9, {40, 7, 12});
  DataLoader loader(documents, packing(16, 4));
  for (int step = 0; step < 10; ++step) {
    PackedRows rows = loader.next()[0];
    for (size_t i = 0; i < rows.ids.size(); i += 16) EXPECT_EQ(rows.ids[i], 0);
    for (const Segment& s : rows.segments) {
      EXPECT_EQ(rows.ids[s.begin], 0);
      EXPECT_EQ(s.pos0, 0);
      for (int64_t i = s.begin; i < s.begin + s.len; ++i) {
        int32_t target = rows.targets[0][i], beyond = rows.targets[1][i];
        if (i + 1 < s.begin + s.len && target >= 0) {
          EXPECT_EQ(target, rows.ids[i + 1]);
        }
        if (i > s.begin && target >= 0) {
          EXPECT_EQ(target, rows.ids[i] + 1);
        }
        if (beyond >= 0 && target >= 0) {
          EXPECT_EQ(beyond, target + 1);
        }
        if (target >= 0) {
          EXPECT_EQ(rows.next[0][i], target);
        }
      }
    }
  }
}

TEST(DataLoader, GoesOnFromItsCursorAndDependsOnTheSeedAlone) {
  TestDocuments documents = numbered(50, {9, 31, 64, 3});
  DataLoader a(documents, packing(32, 4)), b(documents, packing(32, 4));
  for (int i = 0; i < 7; ++i) a.next();
  b.set_cursor(a.cursor());
  for (int i = 0; i < 40; ++i) {
    PackedRows x = a.next()[0], y = b.next()[0];
    ASSERT_EQ(x.ids, y.ids);
    ASSERT_EQ(x.targets, y.targets);
  }
  PackConfig other = packing(32, 4);
  other.seed = 4;
  DataLoader c(documents, packing(32, 4)), d(documents, other);
  EXPECT_NE(c.next()[0].ids, d.next()[0].ids);
}

TEST(DataLoader, CutsABatchIntoGroupsOfTheSameRows) {
  TestDocuments documents = numbered(50, {9, 31, 64, 3});
  PackConfig grouped = packing(32, 4);
  grouped.groups = 4;
  DataLoader a(documents, packing(32, 4)), b(documents, grouped);
  for (int i = 0; i < 5; ++i) {
    std::vector<int32_t> ids;
    for (const PackedRows& rows : b.next()) ids.insert(ids.end(), rows.ids.begin(), rows.ids.end());
    EXPECT_EQ(a.next()[0].ids, ids);
  }
}

TEST(DataLoader, KeepsChatsWholeAndCutsWhatIsTooLong) {
  TestDocuments documents = numbered(12, {10, 10, 10, 40});
  PackConfig c = packing(16, 2);
  c.whole_documents = true;
  DataLoader loader(documents, c);
  for (int i = 0; i < 6; ++i) {
    PackedRows rows = loader.next()[0];
    for (const Segment& s : rows.segments) EXPECT_TRUE(s.len == 10 || s.len == 16);
  }
  EXPECT_GT(loader.cut_documents(), 0);
}

TEST(DataLoader, TakesTheFractionOfAWeightByChance) {
  TestDocuments documents = numbered(400, {16});
  documents.weight_ = 0.25;
  PackConfig c = packing(16, 1);
  DataLoader loader(documents, c);
  int64_t rows = 0;
  while (loader.cursor().epoch < 1) {
    loader.next();
    ++rows;
  }
  EXPECT_GT(rows, 60);
  EXPECT_LT(rows, 140);
}

TEST(DataLoader, RefusesACursorOutsideTheData) {
  TestDocuments documents = numbered(5, {16});
  DataLoader loader(documents, packing(16, 1));
  EXPECT_THROW(loader.set_cursor({0, 6, 0}), Error);
  EXPECT_THROW(loader.set_cursor({0, 2, 16}), Error);
  EXPECT_THROW(loader.set_cursor({-1, 0, 0}), Error);
}

}  // namespace unha
