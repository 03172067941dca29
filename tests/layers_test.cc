// SPDX-License-Identifier: Apache-2.0
// The house keeps its shape by itself: includes point down, third-party headers stay with the folder that owns them,
// files stay short, and nothing is in the tree that is not on ARCHITECTURE.md's map.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace unha {
namespace {

namespace fs = std::filesystem;

// A folder includes itself and folders with a smaller number; siblings never include each other.
const std::map<std::string, int> kLayers = {{"base", 0},   {"tensor", 1},  {"text", 1},  {"io", 2},
                                            {"quant", 2},  {"kernels", 3}, {"ops", 4},   {"model", 5},
                                            {"engine", 6}, {"corpus", 6},  {"train", 7}, {"app", 8}};

// Third-party headers by the start of their name, and the folders or files that may include them.
const std::vector<std::pair<std::string, std::set<std::string>>> kThirdParty = {
    {"fmt/", {"*"}},
    {"gtest/", {"*"}},
    {"nlohmann/", {"base"}},
    {"openssl/", {"base"}},
    {"pcre2.h", {"text"}},
    {"utf8proc.h", {"text"}},
    {"zlib.h", {"corpus"}},
    {"lzma.h", {"corpus"}},
    {"CLI/", {"app"}},
    {"histedit.h", {"app"}},
    {"editline/", {"app"}},
    {"immintrin.h", {"kernels", "base/threads.cc"}},
    {"arm_neon.h", {"kernels"}},
    {"benchmark/", {}},
};

// The operating system's headers, free for all.
const std::set<std::string> kSystem = {"unistd.h",  "fcntl.h",   "signal.h", "dirent.h", "poll.h",
                                       "termios.h", "dlfcn.h",   "malloc.h", "sched.h",  "cpuid.h",
                                       "spawn.h",   "pthread.h", "pty.h",    "glob.h",   "fnmatch.h"};

constexpr int kMaxLines = 600;

struct SourceFile {
  std::string path;  // relative to the tree, with /
  std::vector<std::string> lines;
};

std::vector<SourceFile> sources(const std::vector<std::string>& folders) {
  std::vector<SourceFile> files;
  for (const std::string& folder : folders) {
    fs::path top = fs::path(UNHA_SOURCE_DIR) / folder;
    if (!fs::exists(top)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
      std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cc" && extension != ".inl") continue;
      SourceFile file{fs::relative(entry.path(), UNHA_SOURCE_DIR).generic_string(), {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

// "src/text/regex.cc" -> "text"; empty outside src/.
std::string folder_of(const std::string& path) {
  if (path.rfind("src/", 0) != 0) return "";
  return path.substr(4, path.find('/', 4) - 4);
}

// The name in `#include "name"` or `#include <name>`; empty if the line is none of this kind.
std::string included(const std::string& line, char open, char close) {
  size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string::npos || line[hash] != '#') return "";
  size_t word = line.find_first_not_of(" \t", hash + 1);
  if (word == std::string::npos || line.compare(word, 7, "include") != 0) return "";
  size_t begin = line.find(open, word);
  size_t end = line.find(close, begin == std::string::npos ? begin : begin + 1);
  return end == std::string::npos ? "" : line.substr(begin + 1, end - begin - 1);
}

// Why `path` may not include "name", or nothing.
std::string own_header_fault(const std::string& path, const std::string& name) {
  if (name == "unha_commit.h" || name == "fuzz_targets.inl") return "";  // generated
  bool beside = path.rfind("tests/", 0) == 0 && fs::exists(fs::path(UNHA_SOURCE_DIR) / "tests" / name);
  if (beside) return "";  // helpers of the tests
  if (!fs::exists(fs::path(UNHA_SOURCE_DIR) / "src" / name))
    return "no such file under src/ (write the path from there)";
  std::string from = folder_of(path);
  std::string to = name.substr(0, name.find('/'));
  if (!kLayers.contains(to)) return "folder " + to + " has no layer";
  if (from.empty() || from == to) return "";  // tests/ and fuzz/ see everything
  return kLayers.at(to) < kLayers.at(from) ? "" : "the arrow " + from + " -> " + to + " points up or sideways";
}

std::string system_header_fault(const std::string& path, const std::string& name) {
  for (const auto& [prefix, homes] : kThirdParty) {
    if (name.rfind(prefix, 0) != 0) continue;
    if (homes.contains("*") || homes.contains(folder_of(path)) || folder_of(path).empty()) return "";
    if (path.rfind("src/", 0) == 0 && homes.contains(path.substr(4))) return "";
    return "this third-party header belongs to another folder";
  }
  bool standard = name.find_first_of("./") == std::string::npos;
  if (standard || kSystem.contains(name) || name.rfind("sys/", 0) == 0 || name.rfind("linux/", 0) == 0) return "";
  return "unknown header: give it a home in tests/layers_test.cc";
}

bool is_test(const std::string& path) { return fs::path(path).filename().string().find("test") != std::string::npos; }

std::string text_of(const std::string& name) {
  std::ifstream in(fs::path(UNHA_SOURCE_DIR) / name);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Layers, EveryFolderOfTheSourceHasALayerAndIsOnTheMap) {
  std::string map = text_of("ARCHITECTURE.md");
  for (const auto& entry : fs::directory_iterator(fs::path(UNHA_SOURCE_DIR) / "src")) {
    std::string folder = entry.path().filename().string();
    EXPECT_TRUE(entry.is_directory()) << folder << " lies outside any folder";
    EXPECT_TRUE(kLayers.contains(folder)) << "src/" << folder << " has no layer in tests/layers_test.cc";
    EXPECT_NE(map.find("src/" + folder), std::string::npos) << "src/" << folder << " is not on ARCHITECTURE.md's map";
  }
}

TEST(Layers, TheMapGivesEveryFolderTheNumberOfThisTest) {
  // A line of the map: a number, then folders "src/x", perhaps with more on lines that have no number of their own.
  std::istringstream map(text_of("ARCHITECTURE.md"));
  int number = -1;
  std::set<std::string> seen;
  for (std::string line; std::getline(map, line);) {
    if (line.rfind("    ", 0) != 0) continue;
    if (line.size() > 6 && std::isdigit(static_cast<unsigned char>(line[4])) && line[5] == ' ') number = line[4] - '0';
    line = line.substr(0, line.find("(later"));
    for (size_t at = line.find("src/"); at != std::string::npos; at = line.find("src/", at + 1)) {
      std::string folder = line.substr(at + 4, line.find_first_of(" /", at + 4) - at - 4);
      if (!kLayers.contains(folder)) continue;
      EXPECT_EQ(kLayers.at(folder), number) << folder;
      seen.insert(folder);
    }
  }
  for (const auto& [folder, layer] : kLayers) EXPECT_TRUE(seen.contains(folder)) << folder << " has no line on the map";
}

TEST(Layers, IncludesPointDown) {
  std::vector<SourceFile> files = sources({"src", "tests", "fuzz"});
  ASSERT_GT(files.size(), 50u);
  for (const SourceFile& file : files) {
    for (size_t i = 0; i < file.lines.size(); ++i) {
      std::string name = included(file.lines[i], '"', '"');
      std::string fault = name.empty() ? "" : own_header_fault(file.path, name);
      EXPECT_EQ(fault, "") << file.path << ":" << i + 1 << ": " << file.lines[i];
    }
  }
}

TEST(Layers, ThirdPartyHeadersStayWithTheirFolder) {
  for (const SourceFile& file : sources({"src", "tests", "fuzz"})) {
    for (size_t i = 0; i < file.lines.size(); ++i) {
      std::string name = included(file.lines[i], '<', '>');
      std::string fault = name.empty() ? "" : system_header_fault(file.path, name);
      EXPECT_EQ(fault, "") << file.path << ":" << i + 1 << ": " << file.lines[i];
    }
  }
}

TEST(Layers, TheTestSeesWrongArrows) {
  EXPECT_EQ(included("#  include \"ops/ctx.h\"  // why", '"', '"'), "ops/ctx.h");
  EXPECT_EQ(included("# include <zlib.h>", '<', '>'), "zlib.h");
  EXPECT_EQ(included("// #include \"ops/ctx.h\"", '"', '"'), "");
  EXPECT_NE(own_header_fault("src/base/x.cc", "ops/ctx.h"), "");
  EXPECT_NE(own_header_fault("src/text/x.cc", "tensor/dtype.h"), "");
  EXPECT_NE(own_header_fault("src/ops/x.cc", "ctx.h"), "");
  EXPECT_EQ(own_header_fault("src/ops/x.cc", "base/error.h"), "");
  EXPECT_EQ(own_header_fault("src/ops/x.cc", "ops/ctx.h"), "");
  EXPECT_NE(system_header_fault("src/io/x.cc", "nlohmann/json.hpp"), "");
  EXPECT_NE(system_header_fault("src/io/x.cc", "immintrin.h"), "");
  EXPECT_EQ(system_header_fault("src/base/threads.cc", "immintrin.h"), "");
  EXPECT_NE(system_header_fault("src/base/x.cc", "boost/any.hpp"), "");
  EXPECT_EQ(system_header_fault("src/base/x.cc", "vector"), "");
}

TEST(House, FilesStayShort) {
  for (const SourceFile& file : sources({"src", "tests", "fuzz", "tools"})) {
    EXPECT_LE(file.lines.size(), static_cast<size_t>(kMaxLines)) << file.path;
  }
}

TEST(House, EveryFileNamesItsLicenceFirst) {
  for (const SourceFile& file : sources({"src", "tests", "fuzz"})) {
    ASSERT_FALSE(file.lines.empty()) << file.path;
    EXPECT_EQ(file.lines.front(), "// SPDX-License-Identifier: Apache-2.0") << file.path;
  }
}

TEST(House, OnlyTheProgramReadsTheEnvironment) {
  const std::string call = std::string("getenv") + "(";
  for (const SourceFile& file : sources({"src", "fuzz"})) {
    if (folder_of(file.path) == "app" || is_test(file.path)) continue;
    for (size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_EQ(file.lines[i].find(call), std::string::npos) << file.path << ":" << i + 1 << " reads the environment";
    }
  }
}

TEST(House, NothingUnfinishedIsMarked) {
  for (const SourceFile& file : sources({"src", "tests", "fuzz"})) {
    for (size_t i = 0; i < file.lines.size(); ++i) {
      for (const std::string& mark : {std::string("TO") + "DO", std::string("FIX") + "ME", std::string("XX") + "X:"}) {
        EXPECT_EQ(file.lines[i].find(mark), std::string::npos) << file.path << ":" << i + 1 << ": " << file.lines[i];
      }
    }
  }
}

}  // namespace
}  // namespace unha
