#include "launch/python_calls.h"

#include <gtest/gtest.h>

#include "launch/settings.h"

namespace peakmem {
namespace {

TEST(PythonTest, CallsAndNames) {
  const Result<PythonFile> file = read_python(
      "\"\"\"A docstring (with a bracket.\"\"\"\n"
      "WIDTH = 2 * 8  # a comment\n"
      "model = Fast.from_pretrained(\n    'x/y', length=WIDTH, four=True, names=['a', \"b\"],\n    rate=2e-5, "
      "other=f(1)[0])\n"
      "trainer = Trainer(args=Config(rows=3, free=os.environ['X']))\n");
  ASSERT_TRUE(file) << file.error().problem;
  ASSERT_EQ(file->calls.size(), 4U);
  const Value& load = file->calls[1].arguments;
  EXPECT_EQ(file->calls[1].name, "Fast.from_pretrained");
  EXPECT_EQ(load.find("0")->string, "x/y");
  EXPECT_EQ(load.find("length")->integer, 16);
  EXPECT_TRUE(load.find("four")->boolean);
  EXPECT_EQ(shown(*load.find("names")), "a, b");
  EXPECT_EQ(load.find("rate")->real, 2e-5);
  EXPECT_EQ(load.find("other")->string[0], '$');
  EXPECT_EQ(file->calls[2].arguments.find("rows")->integer, 3);
  EXPECT_EQ(file->calls[2].arguments.find("free")->string[0], '$');
}

TEST(PythonTest, WhatDoesNotEndIsRefused) {
  for (const std::string& text :
       {std::string("a = 'x"), std::string("f(1, 2"), std::string("a = [1, {"), "a = " + std::string(10'000, '['),
        "a = " + std::string(10'000, 'f') + "(", std::string("\"\"\" x"), std::string("f(]")})
    EXPECT_FALSE(read_python(text)) << text.substr(0, 20);
}

}  // namespace
}  // namespace peakmem
