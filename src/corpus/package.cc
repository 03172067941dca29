// SPDX-License-Identifier: Apache-2.0
// Running apt-get and dpkg-deb. Names are checked before they become arguments; no shell is involved.
#include "corpus/package.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "corpus/clean.h"
#include "io/file.h"

extern char** environ;

namespace unha::corpus {
namespace fs = std::filesystem;

namespace {

struct CommandResult {
  int exit_code = 0;
  std::string output;  // standard output and errors
};

CommandResult run_command(const std::vector<std::string>& arguments, const fs::path& folder) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw_error(ErrorCode::kResource, "cannot make a pipe: {}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failed != 0) {
    close(ends[0]);
    throw Error(ErrorCode::kNotFound, fmt::format("{} cannot be run: {}", arguments[0], std::strerror(failed)),
                "packages need Debian's apt and dpkg; a recipe of folders and jsonl files works without");
  }
  CommandResult result;
  char chunk[4096];
  for (;;) {
    ssize_t n = read(ends[0], chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    result.output.append(chunk, static_cast<size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return result;
}

// The first line that says what went wrong.
std::string reason_of(const std::string& output) {
  std::string last;
  for (std::string_view line : split_lines(output)) {
    if (line.substr(0, 2) == "E:") return std::string(trim(line.substr(2)));
    if (!trim(line).empty()) last = std::string(trim(line));
  }
  return last;
}

}  // namespace

bool is_package_name(const std::string& name) {
  auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return name.size() >= 2 && good(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return good(c) || c == '+' || c == '-' || c == '.'; });
}

fs::path PackageCache::find(const std::string& name) const {
  std::error_code ignored;
  fs::path best;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, ignored)) {
    std::string file = entry.path().filename().string();
    bool fits = file.substr(0, file.find('_')) == name && entry.path().extension() == ".deb";
    if (fits && (best.empty() || entry.path() > best)) best = entry.path();
  }
  return best;
}

Package PackageCache::fetch(const std::string& name) const {
  if (!is_package_name(name)) throw_error(ErrorCode::kInvalidArgument, "\"{}\" is not the name of a package", name);
  fs::path file = find(name);
  if (file.empty()) {
    PosixFileSystem().make_dir(folder_.string());
    CommandResult result = run_command({"apt-get", "-q", "download", name}, folder_);
    file = find(name);
    if (result.exit_code != 0 || file.empty()) {
      throw Error(ErrorCode::kNotFound,
                  fmt::format("package {}: apt-get download failed: {}", name, reason_of(result.output)),
                  fmt::format("run `apt-get update` once (as root) and check the network, or put {}_*.deb into {}",
                              name, folder_.string()));
    }
  }
  CommandResult version = run_command({"dpkg-deb", "-f", fs::absolute(file).string(), "Version"}, folder_);
  if (version.exit_code != 0) {
    throw Error(ErrorCode::kCorrupt,
                fmt::format("{}: is not a whole package: {}", file.string(), reason_of(version.output)),
                "remove it and run again");
  }
  return {name, std::string(trim(version.output)), file, Sha256::of(read_file(file.string()))};
}

void PackageCache::unpack(const Package& package, const fs::path& to) {
  PosixFileSystem().make_dir(to.string());
  CommandResult result =
      run_command({"dpkg-deb", "-x", fs::absolute(package.file).string(), fs::absolute(to).string()}, to);
  if (result.exit_code != 0) {
    throw Error(ErrorCode::kCorrupt,
                fmt::format("{}: cannot be unpacked: {}", package.file.string(), reason_of(result.output)),
                "remove it and run again, or free some space");
  }
}

}  // namespace unha::corpus
