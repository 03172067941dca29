// SPDX-License-Identifier: Apache-2.0
#include "io/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/faulty_file_system.h"
#include "io/test_dir.h"

namespace unha {
namespace {

TEST(File, WhatIsWrittenIsReadBack) {
  TestDir dir;
  std::string text(3'000'000, 'x');
  text[1'234'567] = 'y';
  write_file_atomic(dir / "a", text);
  EXPECT_EQ(read_file(dir / "a"), text);
  MappedFile mapped = MappedFile::open(dir / "a");
  EXPECT_EQ(mapped.size(), 3'000'000);
  EXPECT_EQ(static_cast<char>(mapped.data()[1'234'567]), 'y');
  EXPECT_EQ(dir.entries(), 1);
}

TEST(File, AnEmptyFileMapsToNothing) {
  TestDir dir;
  write_file_atomic(dir / "empty", "");
  EXPECT_EQ(MappedFile::open(dir / "empty").size(), 0);
  EXPECT_EQ(read_file(dir / "empty"), "");
}

TEST(File, WhatIsNotAFileIsRefusedByName) {
  TestDir dir;
  expect_error(ErrorCode::kNotFound, dir / "none", [&] { read_file(dir / "none"); });
  expect_error(ErrorCode::kInvalidArgument, "a folder", [&] { MappedFile::open(dir.path()); });
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  expect_error(ErrorCode::kInvalidArgument, "something else", [&] { read_file(dir / "fifo"); });
  expect_error(ErrorCode::kNotFound, "none/x", [&] { write_file_atomic(dir / "none/x", "text"); });
}

TEST(File, ShortReadsAndWritesAreCarriedOn) {
  TestDir dir;
  PosixFileSystem posix;
  FaultyFileSystem fs(posix, {.longest_read = 7, .longest_write = 3});
  write_file_atomic(fs, dir / "a", "a text of more than seven bytes");
  EXPECT_EQ(read_file(fs, dir / "a"), "a text of more than seven bytes");
}

TEST(File, AFullDiskIsNamedAndLeavesTheOldFile) {
  TestDir dir;
  write_file_atomic(dir / "a", "old");
  PosixFileSystem posix;
  FaultyFileSystem fs(posix, {.disk_bytes = 4});
  expect_error(ErrorCode::kResource, "No space left", [&] { write_file_atomic(fs, dir / "a", "new text"); });
  EXPECT_EQ(read_file(dir / "a"), "old");
  EXPECT_EQ(dir.entries(), 1);
}

TEST(File, AReadErrorIsReported) {
  TestDir dir;
  write_file_atomic(dir / "a", "text");
  PosixFileSystem posix;
  FaultyFileSystem fs(posix, {.read_fails_at = 0});
  expect_error(ErrorCode::kResource, "Input/output error", [&] { read_file(fs, dir / "a"); });
}

TEST(File, AFailureAtAnyStepLeavesOldOrNewAndNothingElse) {
  PosixFileSystem posix;
  for (int64_t step = 0;; ++step) {
    TestDir dir;
    write_file_atomic(dir / "a", "old");
    FaultyFileSystem fs(posix, {.fail_at = step});
    bool failed = false;
    try {
      write_file_atomic(fs, dir / "a", "new");
    } catch (const Error&) {
      failed = true;
    }
    std::string text = read_file(dir / "a");
    EXPECT_TRUE(text == "new" || (failed && text == "old")) << step;
    EXPECT_EQ(dir.entries(), 1) << step;
    if (!failed) break;
    ASSERT_LT(step, 20);
  }
}

TEST(File, ARenameComesAfterTheSyncOfItsContent) {
  TestDir dir;
  PosixFileSystem posix;
  FaultyFileSystem fs(posix, {});
  write_file_atomic(fs, dir / "a", "new");
  ASSERT_EQ(fs.log().size(), 5u);
  EXPECT_EQ(fs.log()[2].substr(0, 5), "sync ");
  EXPECT_EQ(fs.log()[3].substr(0, 7), "rename ");
  EXPECT_EQ(fs.log()[4], "sync_dir " + dir.path());
}

TEST(File, AWriterHashesWhatItWrites) {
  TestDir dir;
  PosixFileSystem fs;
  std::string piece(700'001, 'p');
  {
    AtomicFile file(fs, dir / "a");
    FileWriter writer(file.file());
    writer.write("head");
    for (int i = 0; i < 3; ++i) writer.write(piece);
    writer.write(std::string(2 << 20, 'q'));
    EXPECT_EQ(writer.position(), 4 + 3 * 700'001 + (2 << 20));
    EXPECT_EQ(writer.finish(), Sha256::of("head" + piece + piece + piece + std::string(2 << 20, 'q')));
    file.commit();
  }
  EXPECT_EQ(read_file(dir / "a"), "head" + piece + piece + piece + std::string(2 << 20, 'q'));
}

TEST(File, AnAtomicFileThatIsNotCommittedIsGone) {
  TestDir dir;
  PosixFileSystem fs;
  {
    AtomicFile file(fs, dir / "a");
    file.file().write_all(0, "text", 4);
    EXPECT_EQ(dir.entries(), 1);
  }
  EXPECT_EQ(dir.entries(), 0);
}

TEST(File, ALinkIsReplacedInOneStep) {
  TestDir dir;
  replace_symlink(dir / "last", "one");
  replace_symlink(dir / "last", "two");
  EXPECT_EQ(std::filesystem::read_symlink(dir / "last"), "two");
  EXPECT_EQ(dir.entries(), 1);
  PosixFileSystem posix;
  FaultyFileSystem fs(posix, {.fail_at = 2});
  expect_error(ErrorCode::kResource, "last", [&] { replace_symlink(fs, dir / "last", "three"); });
  EXPECT_EQ(std::filesystem::read_symlink(dir / "last"), "two");
  EXPECT_EQ(dir.entries(), 1);
}

TEST(File, NamesInMessagesStayOnOneLine) {
  EXPECT_EQ(quoted_name("a\nb\x1b"), "\"a\\x0ab\\x1b\"");
  EXPECT_EQ(quoted_name(std::string(300, 'a')).size(), 205u);
}

}  // namespace
}  // namespace unha
