// SPDX-License-Identifier: Apache-2.0
#include "corpus/eval_set.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "corpus/clean.h"
#include "corpus/task.h"
#include "io/file.h"

namespace unha::corpus {
namespace {

std::vector<std::string> strings(const Json& list, const std::string& what, const char* key) {
  std::vector<std::string> out;
  bool good = list.is_array() && !list.empty() &&
              std::all_of(list.begin(), list.end(), [](const Json& item) { return item.is_string(); });
  if (!good) throw_error(ErrorCode::kInvalidArgument, "{}: \"{}\" is to be a list of strings", what, key);
  for (const Json& item : list) out.push_back(item.get<std::string>());
  return out;
}

}  // namespace

std::vector<EvalItem> read_eval_set(const std::filesystem::path& path) {
  std::string bytes = read_file(path.string());
  std::vector<EvalItem> items;
  int64_t row = 0;
  for (std::string_view line : split_lines(bytes)) {
    ++row;
    if (trim(line).empty()) continue;
    std::string what = fmt::format("{} row {}", path.string(), row);
    Json json = parse_json(line, what);
    JsonReader reader(json, what);
    EvalItem item;
    item.task = reader.require<std::string>("task");
    item.question = reader.require<std::string>("question");
    item.accepted = strings(reader.at("accepted"), what, "accepted");
    item.in_range = reader.require<bool>("in_range");
    item.group = reader.get<std::string>("group", "");
    if (reader.has("choices")) item.choices = strings(reader.at("choices"), what, "choices");
    bool listed = item.choices.empty() || std::count(item.choices.begin(), item.choices.end(), item.accepted[0]) == 1;
    if (!listed)
      throw_error(ErrorCode::kInvalidArgument, "{}: \"choices\" is to hold the first accepted answer once", what);
    reader.ignore({"answer"});
    reader.finish();
    items.push_back(std::move(item));
  }
  return items;
}

std::string eval_row(const EvalItem& item) {
  Json row{{"task", item.task},         {"question", item.question}, {"answer", item.accepted[0]},
           {"accepted", item.accepted}, {"in_range", item.in_range}, {"group", item.group}};
  if (!item.choices.empty()) row["choices"] = item.choices;
  return row.dump() + "\n";
}

bool verify(const EvalItem& item, std::string_view reply) {
  std::optional<std::string> answer = final_answer(reply);
  if (!answer || std::find(item.accepted.begin(), item.accepted.end(), *answer) == item.accepted.end()) return false;
  const std::vector<std::string>& tasks = task_names();
  bool generated = std::find(tasks.begin(), tasks.end(), item.task) != tasks.end();
  return !generated || make_task(item.task)->verify(item.question, reply);
}

void EvalTally::add(const EvalItem& item, bool right) {
  auto same = [&](const EvalCell& cell) {
    return cell.task == item.task && cell.in_range == item.in_range && cell.group == item.group;
  };
  auto at = std::find_if(cells_.begin(), cells_.end(), same);
  if (at == cells_.end()) at = cells_.insert(cells_.end(), {item.task, item.in_range, item.group});
  ++at->asked;
  at->right += right;
}

}  // namespace unha::corpus
