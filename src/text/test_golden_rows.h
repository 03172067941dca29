// SPDX-License-Identifier: Apache-2.0
// For tests: runs the rows of a tokenizer's golden file ("rows", "decode", "stream"; its "format" defines them).
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/json.h"
#include "text/base64.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace unha {

inline bool row_flag(const Json& row, const char* key, bool fallback) {
  return row.contains(key) ? row[key].get<bool>() : fallback;
}

// Rows of the group "unicode_new" may differ where our Unicode tables are older; returns how many do.
inline int check_encode_rows(const Tokenizer& tokenizer, const Json& rows) {
  int new_unicode = 0;
  for (const Json& row : rows) {
    auto text = row["text"].get<std::string>();
    EncodeOptions options{row_flag(row, "parse_added", true), row_flag(row, "add_special", false)};
    auto ids = tokenizer.encode(text, options);
    EXPECT_EQ(tokenizer.encode(text, options), ids) << "the second time";
    if (row["group"] == "unicode_new") {
      new_unicode += ids != row["ids"].get<std::vector<int32_t>>();
      continue;
    }
    EXPECT_EQ(ids, row["ids"].get<std::vector<int32_t>>())
        << row["group"] << ": " << row["text"].dump(-1, ' ', true).substr(0, 200);
  }
  return new_unicode;
}

inline void check_decode_rows(const Tokenizer& tokenizer, const Json& rows) {
  for (const Json& row : rows) {
    auto ids = row["decode"].get<std::vector<int32_t>>();
    bool skip = row_flag(row, "skip_special", false);
    EXPECT_EQ(tokenizer.decode(ids, skip), row["text"]) << row.dump(-1, ' ', true);
    EXPECT_EQ(base64(tokenizer.decode_bytes(ids, skip)), row["bytes"]) << row.dump(-1, ' ', true);
  }
}

inline void check_stream_rows(const Tokenizer& tokenizer, const Json& rows) {
  for (const Json& row : rows) {
    StreamDecoder decoder(tokenizer, row_flag(row, "skip_special", false));
    std::string shown;
    auto texts = row["texts"].get<std::vector<std::string>>();
    auto ids = row["stream"].get<std::vector<int32_t>>();
    ASSERT_EQ(ids.size(), texts.size());
    for (size_t k = 0; k < ids.size(); ++k) {
      shown += decoder.push(ids[k]);
      EXPECT_EQ(shown, texts[k]) << row.dump(-1, ' ', true) << " after id " << k;
    }
    EXPECT_EQ(shown + decoder.finish(), row["final"]) << row.dump(-1, ' ', true);
  }
}

}  // namespace unha
