// SPDX-License-Identifier: Apache-2.0
#include "app/cli.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "app/global_options.h"
#include "app/progress.h"
#include "app/suggest.h"
#include "app/version.h"
#include "base/error.h"
#include "base/threads.h"

namespace unha {
namespace {

struct Outcome {
  int code;
  std::string out, err;
};

Outcome cli(std::vector<const char*> words) {
  words.insert(words.begin(), "unha");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  int code = run_cli(static_cast<int>(words.size()), words.data());
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

bool one_error_line(const std::string& err) {
  return err.rfind("unha: error: ", 0) == 0 && err.find('\n') == err.size() - 1;
}

TEST(Cli, VersionNamesCommitCompilerTiersAndClasses) {
  Outcome o = cli({"--version"});
  EXPECT_EQ(o.code, 0);
  for (const char* part : {"unha 0", "commit: ", "compiler: ", "tiers: scalar", "classes: f32, bf16x2"}) {
    EXPECT_NE(o.out.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(o.err, "");
}

TEST(Cli, HelpGoesToStandardOutput) {
  Outcome o = cli({"--help"});
  EXPECT_EQ(o.code, 0);
  EXPECT_NE(o.out.find("--threads"), std::string::npos);
  EXPECT_EQ(o.err, "");
}

TEST(Cli, NoCommandIsAUsageErrorThatListsThem) {
  Outcome o = cli({});
  EXPECT_EQ(o.code, 2);
  EXPECT_TRUE(one_error_line(o.err)) << o.err;
  EXPECT_NE(o.err.find("a command is missing"), std::string::npos);
}

TEST(Cli, AnUnknownOptionSuggestsTheNearest) {
  Outcome o = cli({"--thraeds", "2"});
  EXPECT_EQ(o.code, 2);
  EXPECT_TRUE(one_error_line(o.err)) << o.err;
  EXPECT_NE(o.err.find("did you mean '--threads'?"), std::string::npos) << o.err;
}

TEST(Cli, AnUnknownCommandIsAUsageError) {
  Outcome o = cli({"nonsense"});
  EXPECT_EQ(o.code, 2);
  EXPECT_TRUE(one_error_line(o.err)) << o.err;
  EXPECT_NE(o.err.find("there is no command 'nonsense'"), std::string::npos) << o.err;
}

TEST(Cli, ABadNumberIsAUsageError) {
  Outcome o = cli({"--threads", "many"});
  EXPECT_EQ(o.code, 2);
  EXPECT_TRUE(one_error_line(o.err)) << o.err;
}

TEST(GlobalOptions, TheEnvironmentGivesTheTierWhereTheOptionDoesNot) {
  setenv("UNHA_ISA", "scalar", 1);
  Global global;
  resolve_global(global);
  EXPECT_EQ(global.isa, Isa::kScalar);
  EXPECT_EQ(global.threads, Threads::hardware_threads());
  EXPECT_FALSE(global.numerics.has_value());
  setenv("UNHA_ISA", "sse9", 1);
  EXPECT_THROW(resolve_global(global), Error);
  global.isa_text = "scalar";
  EXPECT_NO_THROW(resolve_global(global));
  unsetenv("UNHA_ISA");
}

TEST(GlobalOptions, ATierThatTheMachineLacksListsThoseItHas) {
  Global global;
  for (Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kAmx}) {
    global.isa_text = std::string(isa_name(isa));
    if (isa <= best_isa()) {
      EXPECT_NO_THROW(resolve_global(global));
      continue;
    }
    try {
      resolve_global(global);
      FAIL() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_NE(error.hint().find(tier_list()), std::string::npos);
    }
  }
}

TEST(GlobalOptions, UnknownClassesAndThreadsOutOfRangeAreRefused) {
  Global global;
  global.numerics_text = "f64";
  EXPECT_THROW(resolve_global(global), Error);
  global.numerics_text = "bf16x2";
  resolve_global(global);
  EXPECT_EQ(global.numerics, Numerics::kBF16x2);
  global.threads = -1;
  EXPECT_THROW(resolve_global(global), Error);
}

TEST(GlobalOptions, AutoTakesTheModelsClassThenTheMachines) {
  Global global;
  global.isa = Isa::kAvx2;
  EXPECT_EQ(pick_numerics(global, ""), Numerics::kF32);
  EXPECT_EQ(pick_numerics(global, "bf16x2"), Numerics::kBF16x2);
  EXPECT_THROW(pick_numerics(global, "fp4"), Error);
  global.isa = Isa::kAvx512Bf16;
  EXPECT_EQ(pick_numerics(global, ""), Numerics::kBF16x2);
  global.numerics = Numerics::kF32;
  EXPECT_EQ(pick_numerics(global, "bf16x2"), Numerics::kF32);
}

TEST(Suggest, FindsSlipsOfTheFingersAndNothingElse) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("rnu", "run"), 1);
  EXPECT_EQ(nearest_word("chta", {"chat", "train"}), "chat");
  EXPECT_EQ(nearest_word("serve", {"chat", "train"}), "");
}

TEST(Progress, WritesNumbersAndDurationsForPeople) {
  EXPECT_EQ(number_text(0.0123), "0.012");
  EXPECT_EQ(number_text(3.14159), "3.14");
  EXPECT_EQ(number_text(42.42), "42.4");
  EXPECT_EQ(number_text(1234567.8), "1,234,568");
  EXPECT_EQ(number_text(-1234), "-1,234");
  EXPECT_EQ(number_text(12), "12");
  EXPECT_EQ(duration_text(3.21), "3.2 s");
  EXPECT_EQ(duration_text(59.4), "59 s");
  EXPECT_EQ(duration_text(187), "3:07 min");
  EXPECT_EQ(duration_text(3731), "1:02:11 h");
  EXPECT_EQ(duration_text(-1), "?");
}

TEST(Progress, CountsTowardsATotal) {
  EXPECT_EQ(progress_text("reading", "MB", 12, 48, 4), "reading 12 / 48 MB (25 %), 3 MB/s, 12 s left");
  EXPECT_EQ(progress_text("reading", "MB", 12, 0, 4), "reading 12 MB, 3 MB/s");
  EXPECT_EQ(progress_text("reading", "MB", 0, 48, 0), "reading 0 / 48 MB (0 %), 0 MB/s");
}

TEST(StatusLine, OffATerminalPrintsWholeLinesAtItsPace) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    StatusLine line(false, file, 1e9);
    line.show("too early");
    line.log("note");
    line.finish("done");
    StatusLine quiet(true, file, 0);
    quiet.show("never");
    quiet.log("never");
    StatusLine eager(false, file, 0);
    eager.show("now");
  }
  std::rewind(file);
  char text[256] = {};
  size_t n = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  EXPECT_EQ(std::string(text, n), "note\ndone\nnow\n");
}

}  // namespace
}  // namespace unha
