#include "format/pickle.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "format/json.h"

namespace peakmem {
namespace {

using Kind = Objects::Kind;

std::string file_text(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::string(PEAKMEM_ROOT) + "/tests/data/" + name, std::ios::binary).rdbuf();
  return text.str();
}

std::string pickle_of(int protocol) { return file_text("snapshot_" + std::to_string(protocol) + ".pickle"); }

bool same(const Objects& a, ObjectId at_a, const Objects& b, ObjectId at_b) {
  if (a.kind(at_a) != b.kind(at_b) || a.text(at_a) != b.text(at_b)) return false;
  if (a.number(at_a) != b.number(at_b) || a.real_number(at_a) != b.real_number(at_b)) return false;
  const auto& in_a = a.children(at_a);
  const auto& in_b = b.children(at_b);
  if (in_a.size() != in_b.size()) return false;
  for (size_t i = 0; i < in_a.size(); ++i)
    if (!same(a, in_a[i], b, in_b[i])) return false;
  return true;
}

/// A pickle's problem; empty where it has none.
std::string problem(const std::string& data) {
  const Result<ObjectFile> file = parse_pickle(data);
  return file ? "" : file.error().problem;
}

class Protocols : public testing::TestWithParam<int> {};

TEST_P(Protocols, SayWhatJsonSays) {
  const Result<ObjectFile> pickle = parse_pickle(pickle_of(GetParam()));
  ASSERT_TRUE(pickle) << pickle.error().field << ": " << pickle.error().problem;
  const Result<ObjectFile> json = parse_json_graph(file_text("snapshot.json"));
  ASSERT_TRUE(json) << json.error().problem;
  EXPECT_TRUE(same(pickle->objects, pickle->id, json->objects, json->id));
  EXPECT_EQ(pickle->root()["allocator_settings"]["text"].text(), "größe € 😀\n\\u");
}

TEST_P(Protocols, AreRefusedWhereverTheyAreCutOff) {
  const std::string data = pickle_of(GetParam());
  for (size_t length = 0; length < data.size(); ++length)
    ASSERT_FALSE(parse_pickle(std::string_view(data).substr(0, length))) << length;
}

TEST_P(Protocols, SurviveAnyDamagedByte) {
  const std::string data = pickle_of(GetParam());
  for (size_t i = 0; i < data.size(); i += 7) {
    std::string damaged = data;
    damaged[i] = static_cast<char>(damaged[i] + 1 + static_cast<char>(i % 250));
    const Result<ObjectFile> file = parse_pickle(damaged);
    if (!file) {
      EXPECT_FALSE(file.error().problem.empty());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Pickle, Protocols, testing::Range(0, 6));

TEST(Pickle, RunsNothing) {
  EXPECT_EQ(problem("cos\nsystem\n(S'echo'\ntR."), "would run code: os.system");
  EXPECT_EQ(problem(std::string("\x80\x04\x8c\x02os\x8c\x06system\x93.", 16)), "would run code: os.system");
  EXPECT_EQ(problem("(S'echo'\nios\nsystem\n."), "would run code: os.system");
  const std::set<std::string> opcodes = {"R", "b", "o", "\x81", "\x92", "\x82", "\x83", "\x84", "P", "Q"};
  for (const std::string& opcode : opcodes)
    EXPECT_TRUE(problem("(N" + opcode + std::string(8, '\n')).starts_with("would run code: ")) << opcode;
}

TEST(Pickle, SharedPartsAreNotCopied) {
  // Each list holds the one before it ten times: 10^60 leaves, were it written out.
  std::string data = "]q";
  data += '\0';
  for (char i = 1; i < 61; ++i) {
    data += "](";
    for (int j = 0; j < 10; ++j) data += std::string("h") + static_cast<char>(i - 1);
    data += std::string("eq") + i;
  }
  const Result<ObjectFile> file = parse_pickle(data + ".");
  ASSERT_TRUE(file) << file.error().problem;
  EXPECT_LT(file->objects.size(), 100U);
  EXPECT_EQ(file->root().size(), 10U);
}

TEST(Pickle, DeepNestingCostsNoStack) {
  const size_t depth = 1'000'000;
  EXPECT_EQ(problem(std::string(depth, ']') + std::string(depth - 1, 'a') + "."), "");
  EXPECT_EQ(problem(std::string(depth, '(') + std::string(depth, 't') + "."), "");
  EXPECT_EQ(problem(std::string(depth, '(') + "."), "STOP finds too little on the stack");
}

TEST(Pickle, AListThatHoldsItselfIsRead) {
  const Result<ObjectFile> file = parse_pickle(std::string("]q\0h\0a.", 7));
  ASSERT_TRUE(file) << file.error().problem;
  EXPECT_EQ(file->root().at(0).id(), file->id);
}

TEST(Pickle, LengthsThatAreNotThereAreRefused) {
  const std::string huge(8, '\x7f');
  for (const char* opcode : {"\x8d", "\x8e", "\x96", "X", "T", "B", "\x8b", "\x95"})
    EXPECT_EQ(problem(opcode + huge), "ends within a value") << opcode;
  EXPECT_NE(problem("Nr\xff\xff\xff\xff."), "");
  EXPECT_NE(problem("Np99999999999999999999\n."), "");
  EXPECT_NE(problem("j\xff\xff\xff\xff."), "");
}

TEST(Pickle, WhatIsNoProgramIsRefused) {
  for (const char* data :
       {"",      ".",    "hello", "\x80\x06.", "a",     "s",     "u",     "0",     "1", "2",    "t",    "Na.",  "]N(e",
        "}(Nu.", "(Nd.", "N(0a.", "I12",       "Ix\n.", "Fx\n.", "Sx\n.", "gx\n.", "q", "\xff", "NNs.", "]NNs."})
    EXPECT_NE(problem(data), "") << data;
}

TEST(Pickle, ReadsWhatOldPythonsWrote) {
  const Result<ObjectFile> file = parse_pickle("(I01\nI00\nL12L\nF0.5\nS'it'\nI-7\nl.");
  ASSERT_TRUE(file) << file.error().problem;
  const Object root = file->root();
  ASSERT_EQ(root.size(), 6U);
  EXPECT_TRUE(root.at(0).is(Kind::kBool));
  EXPECT_EQ(root.at(0).number(), 1);
  EXPECT_EQ(root.at(2).number(), 12);
  EXPECT_EQ(root.at(4).text(), "it");
  EXPECT_EQ(root.at(5).number(), -7);
}

TEST(Pickle, NumbersPast63BitsAreReal) {
  const Result<ObjectFile> file = parse_pickle(std::string("\x8a\x09\0\0\0\0\0\0\0\0\1.", 12));
  ASSERT_TRUE(file) << file.error().problem;
  EXPECT_EQ(file->objects.real_number(file->id), 0x1p64);
}

}  // namespace
}  // namespace peakmem
