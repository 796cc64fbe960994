// peakmem accuracy: our error on every record of a real PyTorch step.
#include "report/accuracy.h"

#include <algorithm>
#include <filesystem>

#include "commands.h"
#include "source.h"

namespace peakmem::cli {
namespace {

namespace fs = std::filesystem;

/// The records of the repository: below the working directory, or below the folder the build directory stands in.
std::vector<std::string> shipped_records() {
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  for (const fs::path& root : {fs::path("."), program.parent_path().parent_path()}) {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(root / "oracle" / "records", failed))
      if (entry.path().extension() == ".jsonl") files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    if (!files.empty()) return files;
  }
  return {};
}

/// The groups of all files, records of the same family together.
void merge(std::vector<Accuracy>& all, const std::vector<Accuracy>& groups) {
  for (const Accuracy& group : groups) {
    const auto same =
        std::find_if(all.begin(), all.end(), [&](const Accuracy& other) { return other.name == group.name; });
    if (same == all.end()) {
      all.push_back(group);
      continue;
    }
    same->errors.insert(same->errors.end(), group.errors.begin(), group.errors.end());
    same->exact += group.exact;
    same->parameters_differ += group.parameters_differ;
    for (const auto& [why, count] : group.not_covered) same->not_covered[why] += count;
  }
}

}  // namespace

Result<Answer> run_accuracy(const Arguments& arguments) {
  const std::vector<std::string> files = arguments.operands.empty() ? shipped_records() : arguments.operands;
  if (files.empty())
    return Error{"accuracy", "finds no oracle/records here", "name the files: peakmem accuracy records.jsonl"};
  std::vector<Accuracy> all;
  for (const std::string& file : files) {
    const Result<std::string> text = read_text(file);
    if (!text) return text.error();
    const Result<std::vector<Accuracy>> groups = hold_to_records(*text);
    if (!groups) return Error{file + ", " + groups.error().field, groups.error().problem, groups.error().hint};
    merge(all, *groups);
  }
  return Answer{accuracy_table(all)};
}

}  // namespace peakmem::cli
