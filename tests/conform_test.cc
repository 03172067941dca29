// SPDX-License-Identifier: Apache-2.0
// unha conform: passes on every golden there is, and fails on each as soon as a number, a choice or a weight of it is
// another one.
#include <gtest/gtest.h>

#include <cstring>

#include "cli_fixture.h"
#include "engine/conform/parity.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "model/generations.h"

namespace unha {
namespace {

namespace fs = std::filesystem;

const std::string kGoldens = std::string(UNHA_SOURCE_DIR) + "/tests/goldens";

class ConformTest : public CliTest {
 protected:
  // Runs it over a folder; the exit code is code_.
  Json conform(const std::string& path, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"conform", path, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    code_ = cli(words);
    return parse_json(out_, "output");
  }
  // A copy of a committed case, to be damaged. A name of its own, since names must not matter.
  std::string copy(const std::string& name) {
    std::string folder = dir_ / ("case-" + std::to_string(copies_++));
    fs::copy(kGoldens + "/" + name, folder, fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      fs::permissions(entry.path(), fs::perms::owner_all, fs::perm_options::add);
    }
    return folder;
  }
  // The one case of a folder, which has to fail for a reason that names `part`.
  void expect_fail(const std::string& folder, const std::string& part) {
    Json out = conform(folder);
    EXPECT_EQ(code_, 1) << part;
    ASSERT_EQ(out["cases"].size(), 1U);
    EXPECT_EQ(out["cases"][0]["status"], "FAIL") << out.dump(2);
    EXPECT_NE(out["cases"][0]["reason"].get<std::string>().find(part), std::string::npos) << out["cases"][0]["reason"];
  }
  void expect_skip(const std::string& folder, const std::string& part) {
    Json out = conform(folder);
    EXPECT_EQ(code_, 1) << "nothing passed";
    EXPECT_EQ(out["cases"][0]["status"], "SKIP") << out.dump(2);
    EXPECT_NE(out["cases"][0]["reason"].get<std::string>().find(part), std::string::npos) << out["cases"][0]["reason"];
  }

  // Changes one element of a stored tensor.
  template <class T>
  static void change(const std::string& path, const std::string& tensor, int64_t element, T by) {
    std::string bytes = read_file(path);
    SafetensorsFile file = SafetensorsFile::open(path);
    const TensorInfo* info = file.find(tensor);
    ASSERT_NE(info, nullptr) << tensor;
    ASSERT_EQ(dtype_bytes(info->dtype), static_cast<int64_t>(sizeof(T)));
    char* at = bytes.data() + (info->data - file.bytes().data()) + element * static_cast<int64_t>(sizeof(T));
    T value;
    std::memcpy(&value, at, sizeof(T));
    value = static_cast<T>(value + by);
    std::memcpy(at, &value, sizeof(T));
    write_file_atomic(path, bytes);
  }
  static void change_json(const std::string& path, const std::function<void(Json&)>& edit) {
    Json json = parse_json(read_file(path), path);
    edit(json);
    write_file_atomic(path, json.dump());
  }
  // Writes golden.safetensors again without the tensors that `drop` names.
  static void drop(const std::string& folder, const std::string& tensor) {
    std::string path = folder + "/golden.safetensors";
    SafetensorsFile file = SafetensorsFile::open(path);
    std::vector<TensorSource> kept;
    for (const auto& [name, info] : file.tensors()) {
      if (name != tensor) kept.push_back({name, info.dtype, info.shape, info.data, {}});
    }
    ASSERT_EQ(kept.size() + 1, file.tensors().size()) << tensor;
    write_safetensors(path + ".new", kept);
    fs::rename(path + ".new", path);
  }

  int code_ = 0;
  int copies_ = 0;
};

TEST_F(ConformTest, TheCommittedCasesPassInEveryClassTierAndNumberOfThreads) {
  int64_t cases = 0;
  for (const auto& entry : fs::directory_iterator(kGoldens)) cases += entry.is_directory() ? 1 : 0;
  const std::vector<std::vector<std::string>> ways = {
      {}, {"--numerics", "bf16x2"}, {"--isa", "scalar", "--threads", "1"}, {"--threads", "3"}};
  for (const auto& way : ways) {
    Json out = conform(kGoldens, way);
    EXPECT_EQ(code_, 0) << out.dump(2);
    EXPECT_EQ(out["passed"], cases);
    EXPECT_EQ(out["failed"], 0);
    EXPECT_EQ(out["skipped"], 0);
  }
}

TEST_F(ConformTest, TheSharedCasesPassOrAreOfALaterGeneration) {
  std::string shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "../shared is not there: its golden cases were not run";
  Json out = conform(shared + "/goldens");
  for (const Json& one : out["cases"]) {
    EXPECT_NE(one["status"], "FAIL") << one["path"] << ": " << one["reason"];
    if (one["status"] != "SKIP") continue;
    EXPECT_NE(one["reason"].get<std::string>().find("generation not supported yet"), std::string::npos) << one.dump(2);
  }
  EXPECT_EQ(code_, 0);
}

TEST_F(ConformTest, WhatItPrintsIsOneLineACaseAndASummary) {
  EXPECT_EQ(cli({"conform", kGoldens + "/v3-mtp", kGoldens + "/v3-f32", kGoldens + "/v3-mtp"}), 0) << error_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 3) << out_;
  EXPECT_EQ(out_.find("PASS "), 0U);
  EXPECT_NE(out_.find("v3-mtp (f32): "), std::string::npos);
  EXPECT_NE(out_.find("\n2 passed, 0 failed, 0 skipped\n"), std::string::npos) << out_;
  Json out = conform(kGoldens + "/v3-mtp");
  const Json& one = out["cases"][0];
  EXPECT_EQ(one["path"], kGoldens + "/v3-mtp");
  EXPECT_EQ(one["numerics"], "f32");
  EXPECT_LT(one["max_abs"].get<double>(), 2e-4);
  EXPECT_LT(one["rel_rms"].get<double>(), 1e-4);
  for (const char* check : {"logits", "embed", "attn", "layer", "norm", "router_ids", "router_weights", "mtp_hidden",
                            "mtp_logits", "greedy", "pieces", "threads", "speculative"}) {
    ASSERT_TRUE(one["checks"].contains(check)) << check;
    EXPECT_EQ(one["checks"][check]["judged"], true) << check;
  }
  EXPECT_GT(one["checks"]["speculative"]["drafted"].get<int64_t>(), 0);
}

TEST_F(ConformTest, NamesDoNotMatterAndLinksAreFollowedOnce) {
  std::string folder = copy("v3-mtp");
  change_json(folder + "/golden.json", [](Json& json) {
    json["case"] = "another";
    json.erase("tests");
  });
  fs::create_directory_symlink(folder, dir_ / "again");
  fs::create_directory_symlink(dir_.path(), folder + "/loop");
  Json out = conform(dir_.path());
  EXPECT_EQ(code_, 0) << out.dump(2);
  EXPECT_EQ(out["passed"], 1);
}

TEST_F(ConformTest, EveryStoredNumberCounts) {
  const std::pair<const char*, float> reals[] = {
      {"seq0.logits", 1e-3F},           {"seq1.logits", 1e-3F},       {"seq0.embed", 1e-3F},
      {"seq0.attn.1", 1e-3F},           {"seq1.layer.0", 2e-3F},      {"seq0.norm", 1e-3F},
      {"seq0.router.1.weights", 5e-4F}, {"seq0.mtp.0.hidden", 2e-3F}, {"seq1.mtp.0.logits", 1e-3F},
  };
  for (const auto& [tensor, by] : reals) {
    std::string folder = copy("v3-mtp");
    change<float>(folder + "/golden.safetensors", tensor, 5, by);
    expect_fail(folder, tensor);
  }
  std::string folder = copy("v3-mtp");
  change<float>(folder + "/golden.safetensors", "seq0.logits", 7, std::numeric_limits<float>::quiet_NaN());
  expect_fail(folder, "seq0.logits");
}

TEST_F(ConformTest, EveryStoredChoiceCounts) {
  std::string folder = copy("v3-mtp");
  change<int32_t>(folder + "/golden.safetensors", "seq0.router.1.ids", 4, 1);
  expect_fail(folder, "router_ids");
  folder = copy("v3-f32");
  change_json(folder + "/golden.json", [](Json& json) {
    Json& id = json["greedy"][0]["continuation"].back();
    id = id.get<int64_t>() == 0 ? 1 : id.get<int64_t>() - 1;
  });
  expect_fail(folder, "greedy");
}

TEST_F(ConformTest, AChangedWeightOrConfigFails) {
  std::string folder = copy("v3-f32");
  change<float>(folder + "/model.safetensors", "model.layers.2.self_attn.o_proj.weight", 11, 0.25F);
  expect_fail(folder, "attn.2");
  folder = copy("v3-f32");
  change_json(folder + "/config.json", [](Json& json) { json["routed_scaling_factor"] = 2.4; });
  expect_fail(folder, "layer.2");
}

TEST_F(ConformTest, IncompleteGoldensFailWithWhatIsMissing) {
  for (const char* tensor : {"seq0.logits", "seq1.attn.0", "seq0.router.1.ids", "seq1.mtp.0.hidden"}) {
    std::string folder = copy("v3-mtp");
    drop(folder, tensor);
    expect_fail(folder, tensor);
  }
  std::string folder = copy("v3-mtp");
  fs::remove(folder + "/golden.safetensors");
  expect_fail(folder, "golden.safetensors");
  folder = copy("v3-mtp");
  fs::resize_file(folder + "/golden.safetensors", 5000);
  expect_fail(folder, "golden.safetensors");
  folder = copy("v3-mtp");
  fs::resize_file(folder + "/golden.json", 100);
  expect_fail(folder, "golden.json");
  folder = copy("v3-mtp");
  fs::resize_file(folder + "/model.safetensors", 5000);
  expect_fail(folder, "model.safetensors");
  folder = copy("v3-mtp");
  change_json(folder + "/golden.json", [](Json& json) { json["sequences"][0]["input_ids"][0] = 1000000; });
  expect_fail(folder, "vocabulary");
  folder = copy("v3-mtp");
  change_json(folder + "/golden.json", [](Json& json) { json["sequences"][0]["input_ids"].erase(0); });
  expect_fail(folder, "seq0");
  folder = copy("v3-mtp");
  change_json(folder + "/golden.json", [](Json& json) { json["greedy"] = 3; });
  expect_fail(folder, "greedy");
  folder = copy("v3-mtp");
  change_json(folder + "/golden.json", [](Json& json) { json.erase("sequences"); });
  expect_fail(folder, "sequences");
}

TEST_F(ConformTest, WhatCannotRunHereIsSkipped) {
  std::string folder = copy("v3-f32");
  fs::remove(folder + "/model.safetensors");
  expect_skip(folder, "no checkpoint");
  fs::remove(folder + "/config.json");
  expect_skip(folder, "no checkpoint");
  folder = copy("v3-f32");
  change_json(folder + "/config.json", [](Json& json) { json["model_type"] = "deepseek_v99"; });
  expect_skip(folder, "deepseek_v99");
}

TEST_F(ConformTest, OtherClassesAreHeldToTheirBounds) {
  std::string folder = copy("v3-bf16");
  Json out = conform(folder, {"--numerics", "bf16x2"});
  EXPECT_EQ(code_, 0) << out.dump(2);
  const Json& checks = out["cases"][0]["checks"];
  EXPECT_EQ(checks["greedy"]["judged"], false);
  EXPECT_EQ(checks["router_ids"]["judged"], false);
  EXPECT_EQ(checks["logits"]["judged"], true);
  change_json(folder + "/golden.json", [](Json& json) { json["noise"]["logits_bf16_vs_f32"]["rel_rms"] = 1e-5; });
  out = conform(folder, {"--numerics", "bf16x2"});
  EXPECT_EQ(code_, 1);
  EXPECT_NE(out["cases"][0]["reason"].get<std::string>().find("rel_rms"), std::string::npos);
  folder = copy("v3-bf16");
  change_json(folder + "/golden.json",
              [](Json& json) { json["noise"]["logits_bf16_vs_f32_same_routes"]["max_abs"] = 1e-5; });
  conform(folder, {"--numerics", "bf16x2"});
  EXPECT_EQ(code_, 1);
}

TEST_F(ConformTest, EngramsGradientsAndAddressesCount) {
  const char* golden = "/golden.safetensors";
  const std::pair<const char*, const char*> changes[] = {
      {"paper.grad.layer.0.value_proj.weight", "f64.paper"},
      {"code.seq0.layer.2.grad.hidden", "f64.code"},
      {"noconv.seq1.layer.2.output", "f64.noconv"},
      {"code.seq0.layer.0.gate", "code.layer.0.gate"},
      {"code.grad.layer.2.multi_head_embedding.embedding.weight", "embedding"},
  };
  for (const auto& [tensor, part] : changes) {
    std::string folder = copy("engram-paper-hc1");
    change<double>(folder + golden, tensor, 3, 1e-3);
    expect_fail(folder, part);
  }
  for (const char* tensor : {"seq0.layer.2.rows", "layer.0.multipliers", "seq1.layer.0.mix"}) {
    std::string folder = copy("engram-paper-hc1");
    change<int64_t>(folder + golden, tensor, 1, 1);
    expect_fail(folder, tensor + (std::string(tensor).find("seq0.") == 0 ? 4 : 0));
  }
  std::string folder = copy("engram-paper-hc1");
  change<float>(folder + "/model.safetensors", "layers.0.engram.value_proj.weight", 0, 0.01F);
  expect_fail(folder, "f64.code");
  folder = copy("engram-paper-hc1");
  fs::remove(folder + "/tokenizer.json");
  expect_fail(folder, "tokenizer.json");
}

TEST_F(ConformTest, AManifestsFilesAreRefusedOrLoad) {
  std::string folder = dir_ / "files";
  fs::create_directory(folder);
  fs::rename(copy("v3-f32"), folder + "/whole");
  fs::rename(copy("v3-f32"), folder + "/cut");
  fs::resize_file(folder + "/cut/model.safetensors", 5000);
  for (const char* name : {"/whole", "/cut"}) fs::remove(folder + name + "/golden.json");
  auto manifest = [&](bool whole, bool cut, bool lenient) {
    Json json = {{"whole", {{"what", "nothing"}, {"valid", whole}, {"level", "model"}}},
                 {"cut", {{"what", "a cut file"}, {"valid", cut}, {"level", "container"}}}};
    if (lenient) json["cut"]["lenient"] = "others load it";
    if (lenient) json["whole"]["lenient"] = "others do not";
    write_file_atomic(folder + "/manifest.json", json.dump());
  };
  manifest(true, false, false);
  EXPECT_EQ(conform(folder)["passed"], 1) << out_;
  manifest(true, false, true);
  EXPECT_EQ(conform(folder)["passed"], 1) << out_;
  manifest(false, false, true);
  EXPECT_EQ(conform(folder)["passed"], 1) << out_;
  manifest(false, false, false);
  expect_fail(folder, "whole");
  manifest(true, true, false);
  expect_fail(folder, "cut");
  write_file_atomic(folder + "/manifest.json", R"({"none": {"valid": false}})");
  expect_fail(folder, "none");
  write_file_atomic(folder + "/manifest.json", R"({"../whole": {"valid": true}})");
  expect_fail(folder, "../whole");
  write_file_atomic(folder + "/manifest.json", "[]");
  expect_fail(folder, "manifest.json");
}

TEST_F(ConformTest, NothingToRunIsNoSuccess) {
  Json out = conform(dir_.path());
  EXPECT_EQ(code_, 1);
  EXPECT_EQ(out["passed"], 0);
  EXPECT_EQ(out["failed"], 0);
  EXPECT_TRUE(out["cases"].empty());
  EXPECT_EQ(cli({"conform", dir_ / "nowhere"}), 1);
  EXPECT_EQ(error_.find("unha: error: "), 0U) << error_;
  EXPECT_EQ(cli({"conform"}), 2);
}

// A model of ours keeps the promise, so these checks are shown what a broken one would give.
TEST_F(ConformTest, OtherBytesAreSeenWhereverTheyAre) {
  std::string folder = kGoldens + "/v3-mtp";
  LoadedModel loaded = load_model(folder, Numerics::kF32);
  Engine engine(std::move(loaded.model), Numerics::kF32, {});
  GoldenSequence sequence = Golden(folder).sequences()[0];
  auto n = static_cast<int64_t>(sequence.ids.size());
  WholePass whole = run_whole(engine, sequence.ids, false);
  EXPECT_EQ(pieces_differ(engine, sequence, whole, cut_growing(n)), "");
  EXPECT_EQ(drafter_differs(engine, sequence, whole), "");
  EXPECT_EQ(engines_differ(engine, sequence, whole), "");
  WholePass other = whole;
  other.logits.back() = std::nextafter(other.logits.back(), 1e9F);
  EXPECT_NE(pieces_differ(engine, sequence, other, cut_evenly(n, 7)), "");
  EXPECT_NE(engines_differ(engine, sequence, other), "");
  other = whole;
  other.mtp_logits[0].back() = -other.mtp_logits[0].back();
  EXPECT_NE(drafter_differs(engine, sequence, other), "");
  EXPECT_NE(engines_differ(engine, sequence, other), "");
}

}  // namespace
}  // namespace unha
