// SPDX-License-Identifier: Apache-2.0
// The command line: options that all commands share, the list of commands, and how anything that goes wrong becomes one
// line on stderr and an exit code.
//
// A command lives in app/NAME_cmd.{h,cc} and offers
//   void add_NAME_command(CLI::App& root, Global& global, Action& action);
// which adds its subcommand; parsing it sets `action`. Only cli.cc and the NAME_cmd.cc files include CLI11, which is
// heavy.
#pragma once

namespace unha {

// Parses, runs, reports. Returns the exit code: 0 done, 1 error, 2 usage error, or what the command returned.
// Never throws.
int run_cli(int argc, const char* const* argv);

}  // namespace unha
