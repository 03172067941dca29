// SPDX-License-Identifier: Apache-2.0
// The table of extractors, and what they share: choosing files, long texts, Gutenberg's frame.
#include "corpus/extract.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "corpus/clean.h"
#include "corpus/files.h"
#include "corpus/wordnet.h"
#include "io/file.h"

namespace unha::corpus {
namespace fs = std::filesystem;

namespace {

using Run = int64_t (*)(const ExtractJob& job, const DocumentSink& sink);  // gives the number of files it took

struct Extractor {
  const char* name;
  Run run;
};

// Calls `take(path, bytes)` for each chosen file, decompressed if it is gzip.
template <class Take>
int64_t for_each_file(const ExtractJob& job, const std::vector<std::string>& fallback, const Take& take) {
  int64_t n = 0;
  bool folder = fs::is_directory(job.root);
  for (const fs::path& file : list_files(job.root)) {
    bool wanted = path_matches(file.string(), job.include.empty() ? fallback : job.include, job.exclude);
    if (folder && !wanted) continue;  // a single file was named by the user: it is wanted whatever it is called
    take(file.string(), read_maybe_gzip(folder ? job.root / file : job.root));
    ++n;
  }
  return n;
}

int64_t run_text(const ExtractJob& job, const DocumentSink& sink) {
  return for_each_file(job, {"*.txt", "*.md", "*.txt.gz"}, [&](const std::string& name, std::string bytes) {
    if (bytes.find('\0') != std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}: is not text (it holds a zero byte)", (job.root / name).string()),
                  "remove it, or exclude it in the recipe");
    }
    sink({name, std::move(bytes)});
  });
}
int64_t run_html(const ExtractJob& job, const DocumentSink& sink) {
  return for_each_file(job, {"*.html", "*.htm"}, [&](const std::string& name, const std::string& bytes) {
    sink({name, html_to_text(bytes)});
  });
}
int64_t run_rst(const ExtractJob& job, const DocumentSink& sink) {
  return for_each_file(job, {"*_sources/*.txt", "*_sources/*.txt.gz", "*.rst"},
                       [&](const std::string& name, const std::string& bytes) {
                         sink({name, rst_to_text(bytes)});
                       });
}
int64_t run_pod(const ExtractJob& job, const DocumentSink& sink) {
  return for_each_file(job, {"*.pod"}, [&](const std::string& name, const std::string& bytes) {
    sink({name, pod_to_text(bytes)});
  });
}
int64_t run_dictd(const ExtractJob& job, const DocumentSink& sink) {
  return for_each_file(job, {"*.dict.dz", "*.dict"}, [&](const std::string& name, const std::string& dict) {
    std::string stem = name.substr(0, name.rfind(".dict"));
    extract_dictd(read_file((job.root / (stem + ".index")).string()), dict, stem, sink);
  });
}
int64_t run_rdata(const ExtractJob& job, const DocumentSink& sink) {
  return for_each_file(job, {"*/data/Rdata.rdb"}, [&](const std::string& name, const std::string& bytes) {
    extract_rdata(bytes, name, [&](Document&& d) { sink({d.name, std::string(strip_gutenberg(d.text))}); });
  });
}
int64_t run_sword(const ExtractJob& job, const DocumentSink& sink) {
  return for_each_file(job, {"*.bzv", "*.czv"}, [&](const std::string& name, const std::string& verses) {
    std::string stem = name.substr(0, name.size() - 1);
    std::string blocks = read_file((job.root / (stem + "s")).string());
    std::string data = read_file((job.root / (stem + "z")).string());
    bool wide = name[name.size() - 3] == 'c';  // whatever the .conf says: "zCom4" modules come in both
    extract_sword({blocks, verses, data, wide}, stem.substr(0, stem.rfind('.')), sink);
  });
}
int64_t run_wordnet(const ExtractJob& job, const DocumentSink& sink) {
  extract_wordnet(WordNet::find(job.root), sink);
  return 1;
}

constexpr std::array<Extractor, 8> kExtractors = {{{"text", run_text},
                                                   {"html", run_html},
                                                   {"rst", run_rst},
                                                   {"pod", run_pod},
                                                   {"dictd", run_dictd},
                                                   {"rdata", run_rdata},
                                                   {"sword", run_sword},
                                                   {"wordnet", run_wordnet}}};

}  // namespace

const std::vector<std::string>& extractor_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Extractor& extractor : kExtractors) all.emplace_back(extractor.name);
    return all;
  }();
  return names;
}

void extract(const std::string& kind, const ExtractJob& job, const DocumentSink& sink) {
  for (const Extractor& extractor : kExtractors) {
    if (kind != extractor.name) continue;
    if (extractor.run(job, sink) == 0) {
      throw Error(ErrorCode::kNotFound, fmt::format("{}: no file fits the extractor \"{}\"", job.root.string(), kind),
                  "check the include and exclude patterns of the source");
    }
    return;
  }
  throw_error(ErrorCode::kInvalidArgument, "extractor \"{}\" is unknown: expected one of {}", kind,
              fmt::join(extractor_names(), ", "));
}

std::vector<std::string> split_long_text(std::string_view text, int64_t bytes) {
  std::vector<std::string> pieces;
  std::string piece;
  for (std::string_view paragraph : split_paragraphs(text)) {
    if (!piece.empty() && static_cast<int64_t>(piece.size() + paragraph.size()) > bytes) {
      pieces.push_back(std::move(piece));
      piece.clear();
    }
    if (!piece.empty()) piece += "\n\n";
    piece += paragraph;
  }
  if (!piece.empty()) pieces.push_back(std::move(piece));
  return pieces;
}

std::string_view strip_gutenberg(std::string_view text) {
  for (std::string_view mark : {"*** START OF", "***START OF"}) {
    size_t at = text.find(mark);
    if (at == std::string_view::npos) continue;
    size_t end = text.find('\n', at);
    if (end == std::string_view::npos) continue;
    text.remove_prefix(end + 1);
    break;
  }
  for (std::string_view mark :
       {"*** END OF", "***END OF", "End of Project Gutenberg", "End of the Project Gutenberg"}) {
    size_t at = text.find(mark);
    if (at != std::string_view::npos) text = text.substr(0, at);
  }
  text = trim(text);
  if (text.substr(0, 11) == "Produced by") {
    size_t end = text.find("\n\n");
    if (end != std::string_view::npos) text.remove_prefix(end);
  }
  return trim(text);
}

}  // namespace unha::corpus
