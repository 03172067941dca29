// SPDX-License-Identifier: Apache-2.0
#include "train/run_log.h"

#include <filesystem>

#include "base/error.h"

namespace unha {

namespace {
std::string kept_lines(const std::string& text, int64_t step) {
  std::string kept;
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    std::string line = text.substr(begin, end - begin);
    try {
      Json json = parse_json(line, "log");
      if (json.is_object() && json.contains("step") && json["step"].is_number_integer() && json["step"] <= step) {
        kept += line + "\n";
      }
    } catch (const Error&) {
      continue;  // torn by a crash
    }
  }
  return kept;
}
}  // namespace

RunLog::RunLog(FileSystem& fs, const std::string& dir, int64_t step) {
  std::string path = dir + "/log.jsonl", temporary = dir + "/.tmp-log.jsonl";
  std::string kept = std::filesystem::exists(path) && step > 0 ? kept_lines(read_file(path), step) : "";
  fs.make_dir(dir);
  file_ = fs.create(temporary, path);
  file_->write_all(0, kept.data(), static_cast<int64_t>(kept.size()));
  file_->sync();
  fs.rename(temporary, path);  // the open file goes with its name
  fs.sync_dir(dir);
  size_ = static_cast<int64_t>(kept.size());
}

void RunLog::write(const Json& line) {
  std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  file_->write_all(size_, text.data(), static_cast<int64_t>(text.size()));
  size_ += static_cast<int64_t>(text.size());
}

}  // namespace unha
