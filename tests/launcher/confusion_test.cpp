#include "launcher/confusion.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

TEST(Confusion, AddsUpOverRanks) {
  Confusion one(3), other(3);
  one.add(0, 0, 5);
  one.add(0, 2);
  one.add(0, 2);
  other.add(0, 2, 4);
  other.add(2, 1);
  one.add(other.bytes());
  EXPECT_EQ(one.images(0, 2), 6);
  EXPECT_EQ(one.images(0), 11);
  EXPECT_EQ(one.correct(0), 5);
  EXPECT_EQ(one.images(1), 0);
  EXPECT_EQ(one.images(2, 1), 1);
  EXPECT_EQ(Confusion(3).bytes(), "");
}

TEST(Confusion, IsALineForEachClass) {
  Confusion confusion(3);
  confusion.add(0, 0, 2);
  confusion.add(0, 1);
  confusion.add(2, 0, 7);
  EXPECT_EQ(confusion.csv({"a, or \"b\"", "dog"}),
            "class,images,correct,accuracy,\"a, or \"\"b\"\"\",dog,2\n"
            "\"a, or \"\"b\"\"\",3,2,0.666667,2,1,0\n"
            "dog,0,0,,0,0,0\n"
            "2,7,0,0.000000,7,0,0\n");
}

}  // namespace
}  // namespace convoy
