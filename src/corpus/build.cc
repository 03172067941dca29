// SPDX-License-Identifier: Apache-2.0
// The build: gather, compare, write. Everything is written into OUT/.new and moved into place at the end, corpus.json
// last, so that OUT holds either the earlier corpus or the new one.
#include "corpus/build.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "corpus/clean.h"
#include "corpus/eval_set.h"
#include "corpus/files.h"
#include "corpus/gather.h"
#include "corpus/hash.h"
#include "io/file.h"

namespace unha::corpus {
namespace fs = std::filesystem;

namespace {

constexpr const char* kStaging = ".new";
constexpr const char* kPackages = ".packages";

class Builder {
 public:
  Builder(const Recipe& recipe, const BuildOptions& options)
      : recipe_(recipe), options_(options), staging_(options.out / kStaging) {}

  BuildResult run() {
    prepare();
    try {
      gather_all();
      separate();
      write_all();
    } catch (...) {
      std::error_code ignored;
      fs::remove_all(staging_, ignored);
      throw;
    }
    return publish();
  }

 private:
  void report(double fraction, const std::string& step) const {
    if (options_.progress) options_.progress({fraction, step});
  }

  void prepare() {
    std::error_code ignored;
    if (fs::exists(options_.out, ignored)) {
      std::set<std::string> names;
      if (!fs::is_directory(options_.out, ignored)) {
        throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: is not a folder", options_.out.string()),
                    "choose another --out");
      }
      for (const fs::directory_entry& entry : fs::directory_iterator(options_.out))
        names.insert(entry.path().filename().string());
      bool ours = names.empty() || names.count("corpus.json") || names.count(kStaging) || names.count(kPackages);
      if (!ours) {
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("{}: holds other files (for example {}) and no corpus.json", options_.out.string(),
                                *names.begin()),
                    "choose an empty folder, or a corpus to replace");
      }
    }
    fs::remove_all(staging_, ignored);
    PosixFileSystem().make_dir(staging_.string());
  }

  // Unpacks a package once for all sources that use it.
  fs::path package_root(const std::string& name) {
    fs::path root = staging_ / "tree" / name;
    if (!packages_.count(name)) {
      PackageCache cache(options_.cache.empty() ? options_.out / kPackages : options_.cache);
      Package package = cache.fetch(name);
      PackageCache::unpack(package, root);
      packages_.emplace(name, package);
      fs::path copyright = root / "usr/share/doc" / name / "copyright";
      if (fs::is_regular_file(fs::symlink_status(copyright)))
        put("licenses/" + name + ".txt", to_utf8(read_maybe_gzip(copyright)));
    }
    return root;
  }

  void gather_all() {
    ParagraphFilter filter;
    size_t done = 0;
    for (const SourceSpec& spec : recipe_.sources) {
      double fraction = 0.7 * static_cast<double>(done++) / static_cast<double>(recipe_.sources.size());
      Gathered& source = sources_.emplace_back();
      source.spec = &spec;
      source.counts.name = spec.name;
      source.counts.repeat = spec.repeat;
      fs::path root = spec.path;
      if (!spec.package.empty()) {
        if (!packages_.count(spec.package)) report(fraction, spec.name + ": fetching " + spec.package);
        root = package_root(spec.package);
      }
      report(fraction, spec.name + (spec.is_text() ? ": extracting" : ": generating"));
      if (!spec.is_text()) {
        read_conversations(spec, root, static_cast<uint64_t>(recipe_.seed), source);
        continue;
      }
      double percent = spec.heldout_percent >= 0 ? spec.heldout_percent : recipe_.heldout_percent;
      split_documents(read_documents(spec, root), percent, source);
      int64_t before = filter.removed();
      for (std::vector<Document>* side : {&source.train, &source.heldout}) {
        for (Document& document : *side) document.text = filter.keep_new(document.text);
        drop_short(*side, spec.min_document_bytes);
      }
      source.counts.duplicate_paragraphs = filter.removed() - before;
    }
  }

  static void drop_short(std::vector<Document>& documents, int64_t min_bytes) {
    std::erase_if(documents, [&](const Document& d) {
      return static_cast<int64_t>(d.text.size()) < std::max<int64_t>(1, min_bytes);
    });
  }

  // Takes from the held-out side what training shares with it.
  void separate() {
    report(0.7, "comparing held-out with training text");
    OverlapFinder finder;
    for (const Gathered& source : sources_) {
      for (const Document& document : source.heldout) finder.add_heldout(document.text);
    }
    for (const Gathered& source : sources_) {
      if (source.spec->repeat == 0) continue;
      for (const Document& document : source.train) finder.mark_training(document.text);
      for (const Chat& chat : source.chats) finder.mark_training(plain_chat(chat));
    }
    for (Gathered& source : sources_) {
      for (Document& document : source.heldout) {
        document.text = finder.without_overlap(document.text, &source.counts.overlapping_paragraphs);
      }
      drop_short(source.heldout, 1);
    }
  }

  void put(const std::string& name, std::string_view bytes) {
    PosixFileSystem().make_dir((staging_ / name).parent_path().string());
    write_file_atomic((staging_ / name).string(), bytes);
    files_[name] = {static_cast<int64_t>(bytes.size()), Sha256::of(bytes)};
  }

  void write_all() {
    std::vector<std::string> sft;
    int64_t total = 0;
    size_t done = 0;
    for (Gathered& source : sources_) {
      report(0.8 + 0.15 * static_cast<double>(done++) / static_cast<double>(sources_.size()),
             source.spec->name + ": writing");
      write_source(source, sft);
      total += source.counts.bytes + source.counts.chats;
    }
    if (total == 0) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("recipe {}: the corpus would be empty", recipe_.name),
                  "check the paths and patterns of its sources");
    }
    if (!sft.empty()) {
      Rng rng(mix_hash(static_cast<uint64_t>(recipe_.seed)), Purpose::kCorpus, 0);
      for (size_t i = sft.size(); i > 1; --i) std::swap(sft[i - 1], sft[rng.below(i)]);
      std::string all;
      for (const std::string& row : sft) all += row;
      put("chats.jsonl", all);
    }
    put("NOTICE", notice());
  }

  void write_source(Gathered& source, std::vector<std::string>& sft) {
    SourceCounts& counts = source.counts;
    const std::string& name = source.spec->name;
    std::string text;
    for (const Document& document : source.train) {
      text += document.text + kDocumentSeparator;
      ++counts.documents;
      counts.bytes += static_cast<int64_t>(document.text.size());
    }
    std::string rows;
    for (const Chat& chat : source.chats) {
      text += plain_chat(chat) + kDocumentSeparator;
      for (const Message& message : chat.messages) counts.chat_bytes += static_cast<int64_t>(message.content.size());
      std::string row = chat_row(chat);
      if (source.spec->sft < 0 || counts.sft_chats < source.spec->sft) {
        sft.push_back(row);
        ++counts.sft_chats;
      }
      ++counts.chats;
      rows += row;
    }
    if (!text.empty()) text.resize(text.size() - 2);  // the file ends with one newline
    if (!text.empty()) put("text/" + name + ".txt", text);
    if (!rows.empty()) put("chats/" + name + ".jsonl", rows);
    std::string heldout;
    for (const Document& document : source.heldout) {
      heldout += (heldout.empty() ? "" : "\n") + document.text + "\n";
      ++counts.heldout_documents;
      counts.heldout_bytes += static_cast<int64_t>(document.text.size());
    }
    if (!heldout.empty()) put("heldout/" + name + ".txt", heldout);
    std::string questions;
    for (const EvalItem& item : source.eval) questions += eval_row(item);
    counts.eval_questions = static_cast<int64_t>(source.eval.size());
    if (!questions.empty()) put("eval/" + name + ".jsonl", questions);
  }

  static std::string chat_row(const Chat& chat) {
    Json messages = Json::array();
    for (const Message& message : chat.messages)
      messages.push_back({{"role", message.role}, {"content", message.content}});
    return Json{{"messages", messages}}.dump() + "\n";
  }
  std::string notice() const {
    std::string out = "Sources of the corpus \"" + recipe_.name + "\"\n\n";
    for (const Gathered& source : sources_) {
      const SourceSpec& spec = *source.spec;
      out += "- " + spec.name + ": ";
      if (!spec.package.empty()) {
        const Package& package = packages_.at(spec.package);
        out += fmt::format("from the Debian package {} {}. Licence: {}.", package.name, package.version, spec.license);
        if (files_.count("licenses/" + package.name + ".txt")) out += " See licenses/" + package.name + ".txt.";
      } else if (spec.kind == SourceKind::kGenerate || spec.kind == SourceKind::kSmalltalk) {
        out += "generated by unha.";
      } else {
        out += "files of the user." + (spec.license.empty() ? "" : " Licence: " + spec.license + ".");
      }
      out += (spec.notice.empty() ? "" : " " + spec.notice) + "\n";
    }
    return out;
  }

  Json source_record(const Gathered& source) const {
    const SourceCounts& c = source.counts;
    return {{"name", c.name},
            {"license", source.spec->license},
            {"repeat", c.repeat},
            {"documents", c.documents},
            {"bytes", c.bytes},
            {"heldout_documents", c.heldout_documents},
            {"heldout_bytes", c.heldout_bytes},
            {"duplicate_paragraphs_removed", c.duplicate_paragraphs},
            {"overlapping_paragraphs_removed", c.overlapping_paragraphs},
            {"chats", c.chats},
            {"chat_bytes", c.chat_bytes},
            {"sft_chats", c.sft_chats},
            {"eval_questions", c.eval_questions}};
  }

  BuildResult publish() {
    report(0.97, "moving into place");
    BuildResult result;
    Json files = Json::array();
    Sha256 digest;
    for (const auto& [name, file] : files_) {
      files.push_back({{"path", name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
      digest.update(file.sha256 + "  " + name + "\n");
    }
    result.digest = digest.hex();
    Json packages = Json::array();
    for (const auto& [name, package] : packages_) {
      packages.push_back({{"package", name}, {"version", package.version}, {"sha256", package.sha256}});
    }
    Json sources = Json::array();
    for (const Gathered& source : sources_) {
      sources.push_back(source_record(source));
      result.sources.push_back(source.counts);
    }
    Json record{{"format", "unha-corpus"}, {"version", 1},         {"name", recipe_.name}, {"digest", result.digest},
                {"recipe", recipe_.json},  {"packages", packages}, {"sources", sources},   {"files", files}};
    std::error_code ignored;
    fs::remove_all(staging_ / "tree", ignored);
    PosixFileSystem file_system;
    // From here on the earlier corpus goes: first its record, so that a mixture is never taken for a corpus.
    file_system.remove((options_.out / "corpus.json").string());
    for (const char* name :
         {"text", "chats", "heldout", "eval", "licenses", "chats.jsonl", "NOTICE", "train", "train.new"}) {
      fs::remove_all(options_.out / name, ignored);
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(staging_)) {
      file_system.rename(entry.path().string(), (options_.out / entry.path().filename()).string());
    }
    write_file_atomic((options_.out / "corpus.json").string(), record.dump(1) + "\n");
    fs::remove_all(staging_, ignored);  // last: it marks a folder that a killed build left without a record as ours
    report(1.0, "done");
    return result;
  }

  struct FileRecord {
    int64_t bytes;
    std::string sha256;
  };
  const Recipe& recipe_;
  const BuildOptions& options_;
  fs::path staging_;
  std::vector<Gathered> sources_;
  std::map<std::string, Package> packages_;
  std::map<std::string, FileRecord> files_;
};

}  // namespace

BuildResult build_corpus(const Recipe& recipe, const BuildOptions& options) { return Builder(recipe, options).run(); }

}  // namespace unha::corpus
