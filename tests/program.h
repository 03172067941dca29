// SPDX-License-Identifier: Apache-2.0
// For tests that need the program as a process: to kill it, or to see what it takes.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace unha {

// Starts the program with its standard output and errors in files.
inline pid_t start_program(std::vector<std::string> args, const std::string& out, const std::string& errors) {
  args.insert(args.begin(), UNHA_BINARY);
  pid_t child = ::fork();
  if (child != 0) return child;
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  ::dup2(::open(out.c_str(), kFlags, 0600), 1);
  ::dup2(::open(errors.c_str(), kFlags, 0600), 2);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

// Of a status of wait(); 128 + the number of the signal that ended it.
inline int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace unha
