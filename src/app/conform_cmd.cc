// SPDX-License-Identifier: Apache-2.0
#include "app/conform_cmd.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "engine/conform/conform.h"

namespace unha {

namespace {

struct ConformArgs {
  std::vector<std::string> paths;
  bool json = false;
};

constexpr const char* kConformFooter = R"(Examples:
  unha conform tests/goldens
  unha conform tests/goldens/v3-mtp --numerics bf16x2 --isa scalar --json)";

int conform(const Global& global, const ConformArgs& args) {
  ConformOptions options{global.numerics.value_or(Numerics::kF32), global.isa, global.threads};
  std::vector<CaseResult> results;
  for (const CasePlace& place : find_cases(args.paths)) {
    results.push_back(run_case(place, options));
    const CaseResult& last = results.back();
    if (args.json) continue;
    fmt::print("{} {} ({}): {}\n", status_name(last.status), last.path, last.numerics, last.reason);
    std::fflush(stdout);
  }
  Json json = conform_json(results);
  auto passed = json["passed"].get<int64_t>(), failed = json["failed"].get<int64_t>();
  if (args.json) {
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    fmt::print("{} passed, {} failed, {} skipped\n", passed, failed, json["skipped"].get<int64_t>());
  }
  return failed > 0 || passed == 0 ? 1 : 0;
}

}  // namespace

void add_conform_command(CLI::App& root, Global& global, Action& action) {
  auto args = std::make_shared<ConformArgs>();
  CLI::App* cmd = root.add_subcommand("conform", "run golden cases: does this program compute what it should?");
  cmd->add_option("PATHS", args->paths, "folders; every case in and below them is run, in class f32 unless told")
      ->required();
  cmd->add_flag("--json", args->json, "one JSON object on standard output");
  cmd->footer(kConformFooter);
  cmd->callback([&global, &action, args] { action = [&global, args] { return conform(global, *args); }; });
}

}  // namespace unha
