#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "format/json.h"
#include "train/freezing.h"

namespace peakmem {
namespace {

const Task* task_of(const Value& what) {
  for (const TaskRow& row : task_rows())
    if (row.name == what.find("task")->string) return &row.task;
  return nullptr;
}

TEST(Names, OfParametersAreThoseOfTheRealModels) {
  std::ifstream file(std::string(PEAKMEM_ROOT) + "/oracle/names.jsonl");
  ASSERT_TRUE(file);
  std::vector<std::string_view> families_seen;
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    const Result<Value> value = parse_json(text);
    ASSERT_TRUE(value) << "line " << line;
    const Value& what = *value->find("case");
    std::vector<std::string> unknown;
    const Result<Description> description = read_description(*what.find("config"), task_of(what), unknown);
    ASSERT_TRUE(description) << "line " << line;
    families_seen.push_back(find_family(description->family)->name);
    std::vector<std::string> names;
    for (const Value& name : value->find("names")->items) names.push_back(name.string);
    EXPECT_EQ(parameter_names({*description, {}}), names) << "line " << line;
  }
  for (const Family* family : families())
    EXPECT_EQ(std::count(families_seen.begin(), families_seen.end(), family->name) > 0, true) << family->name;
}

}  // namespace
}  // namespace peakmem
