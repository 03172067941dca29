// SPDX-License-Identifier: Apache-2.0
#include "app/bench_report.h"

#include <gtest/gtest.h>

namespace unha {
namespace {

BenchReport example() {
  BenchReport report;
  report.note("machine", "CPU, 2 threads");
  report.add({"machine", "read bandwidth", 24.31, "GB/s", "", 0});
  report.add({"inference", "decode at context 0", 1234.5, "tokens/s", "read bandwidth", 0.5});
  return report;
}

TEST(BenchReport, LinesUpFiguresWithTheirLimits) {
  EXPECT_EQ(example().text(),
            "machine  CPU, 2 threads\n"
            "\nmachine\n"
            "  read bandwidth        24.3 GB/s\n"
            "\ninference\n"
            "  decode at context 0  1,234 tokens/s   50.0 % of read bandwidth\n");
}

TEST(BenchReport, GivesARowOfCsvForEachFigure) {
  EXPECT_EQ(example().csv(),
            "section,name,value,unit,limit,share,machine\n"
            "machine,read bandwidth,24.31,GB/s,,,\"CPU, 2 threads\"\n"
            "inference,decode at context 0,1234.5,tokens/s,read bandwidth,0.5000,\"CPU, 2 threads\"\n");
}

TEST(BenchReport, QuotesWhatCsvMustQuote) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a \"b\", c"), "\"a \"\"b\"\", c\"");
}

}  // namespace
}  // namespace unha
