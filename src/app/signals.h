// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM for commands that finish what they do before they stop.
//
//   StopSignals stop;
//   while (work() && !stop.requested()) ...
//   return stop.requested() ? stop.exit_code() : 0;
//
// The first signal only sets a flag; a second one before reset() ends the program at once, as it would have without us.
#pragma once

namespace unha {

class StopSignals {
 public:
  StopSignals();   // from here on the signals set the flag; at most one object at a time
  ~StopSignals();  // the handlers of before
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  bool requested() const { return signal() != 0; }
  int signal() const;  // 0, SIGINT or SIGTERM
  int exit_code() const { return 128 + signal(); }
  void reset();  // forget the signal: a chat goes on after Ctrl-C stopped a reply

 private:
  struct Before;
  Before* before_;
};

}  // namespace unha
