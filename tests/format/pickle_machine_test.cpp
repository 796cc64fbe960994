#include "format/pickle_machine.h"

#include <gtest/gtest.h>

namespace peakmem {
namespace {

using Kind = Objects::Kind;

/// A machine that runs one opcode at byte 7.
PickleMachine machine() {
  PickleMachine made;
  made.opcode = {7, "APPEND"};
  return made;
}

TEST(PickleMachine, GathersWhatIsAboveAMark) {
  PickleMachine made = machine();
  made.push(made.objects.dict());
  made.mark();
  made.push(made.objects.string("batch"));
  made.push(made.objects.integer(8));
  ASSERT_TRUE(made.fill_from_mark(Kind::kDict));
  ObjectId answer = Objects::none();
  ASSERT_TRUE(made.pop(answer));
  EXPECT_EQ(Object(made.objects, answer)["batch"].number(), 8);
  EXPECT_EQ(made.size(), 0U);
}

TEST(PickleMachine, NothingBelowTheLastMarkIsTaken) {
  PickleMachine made = machine();
  made.push(made.objects.list());
  made.mark();
  ObjectId taken = Objects::none();
  EXPECT_FALSE(made.pop(taken));
  EXPECT_FALSE(made.twice());
  EXPECT_FALSE(made.tuple(1));
  EXPECT_EQ(made.error().field, "byte 7");
  EXPECT_EQ(made.error().problem, "APPEND finds too little on the stack");
  EXPECT_TRUE(made.drop());  // the mark
  EXPECT_TRUE(made.pop(taken));
  EXPECT_FALSE(made.list_from_mark());
  EXPECT_EQ(made.error().problem, "APPEND finds no mark");
}

TEST(PickleMachine, AKeyWantsAValue) {
  PickleMachine made = machine();
  made.mark();
  made.push(made.objects.string("batch"));
  EXPECT_FALSE(made.dict_from_mark());
  EXPECT_EQ(made.error().problem, "APPEND finds a key without a value");
}

TEST(PickleMachine, TheMemoSharesValues) {
  PickleMachine made = machine();
  made.push(made.objects.list());
  ASSERT_TRUE(made.memoize(3, 10));
  EXPECT_FALSE(made.recall(2));
  EXPECT_FALSE(made.memoize(11, 10));
  ASSERT_TRUE(made.recall(3));
  ASSERT_TRUE(made.tuple(2));
  ObjectId pair = Objects::none();
  ASSERT_TRUE(made.pop(pair));
  const Object root(made.objects, pair);
  EXPECT_EQ(root.at(0).id(), root.at(1).id());
}

}  // namespace
}  // namespace peakmem
