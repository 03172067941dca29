// SPDX-License-Identifier: Apache-2.0
// The program. Everything it does is in cli.cc and the commands beside it, so that tests can link them.
#include "app/cli.h"

int main(int argc, char** argv) { return unha::run_cli(argc, argv); }
