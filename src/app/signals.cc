// SPDX-License-Identifier: Apache-2.0
#include "app/signals.h"

#include <csignal>

#include "base/error.h"

namespace unha {

// A signal handler reaches static storage only: these are the program's one exception to "no globals".
struct StopSignals::Before {
  struct sigaction interrupt;
  struct sigaction terminate;
};

namespace {
volatile std::sig_atomic_t g_signal = 0;
bool g_installed = false;

void on_signal(int number) {
  if (g_signal != 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);  // delivered when this handler returns
    return;
  }
  g_signal = number;
}
}  // namespace

StopSignals::StopSignals() {
  static Before before;
  UNHA_CHECK(!g_installed, "one StopSignals at a time");
  g_installed = true;
  g_signal = 0;
  before_ = &before;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // No SA_RESTART: a read that waits for the terminal returns, so that its caller sees the flag.
  sigaction(SIGINT, &action, &before.interrupt);
  sigaction(SIGTERM, &action, &before.terminate);
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &before_->interrupt, nullptr);
  sigaction(SIGTERM, &before_->terminate, nullptr);
  g_installed = false;
}

int StopSignals::signal() const { return g_signal; }
void StopSignals::reset() { g_signal = 0; }

}  // namespace unha
