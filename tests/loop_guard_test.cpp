// What counts as an answer that repeats itself.
#include "run/answer_text.h"

#include <gtest/gtest.h>

#include <vector>

namespace aira {
namespace {

using Ids = std::vector<std::int32_t>;

/// After how many of `ids` they repeat themselves; 0 when it never does.
std::size_t caught_after(const Ids& ids) {
  for (std::size_t n = 1; n <= ids.size(); ++n) {
    if (repeats(std::span(ids).first(n))) return n;
  }
  return 0;
}

/// `before` other ids, then 1..period over and over, `count` of them.
Ids periodic(int before, int period, int count) {
  Ids ids;
  for (int i = 0; i < before; ++i) ids.push_back(1000 + i);
  for (int i = 0; i < count; ++i) ids.push_back(1 + i % period);
  return ids;
}

TEST(Repeats, ThreeTimesTheSameAndSixteenTokensAtLeast) {
  EXPECT_EQ(caught_after(periodic(0, 1, 40)), 16U);
  EXPECT_EQ(caught_after(periodic(7, 1, 40)), 23U);
  EXPECT_EQ(caught_after(periodic(3, 5, 40)), 19U);
  EXPECT_EQ(caught_after(periodic(0, 6, 40)), 18U);
  EXPECT_EQ(caught_after(periodic(11, 20, 80)), 71U);
  EXPECT_EQ(caught_after(periodic(0, 100, 300)), 300U);
}

TEST(Repeats, LessIsNoLoop) {
  EXPECT_EQ(caught_after(periodic(0, 1, 15)), 0U);
  EXPECT_EQ(caught_after(periodic(5, 20, 59)), 0U);
  EXPECT_EQ(caught_after(periodic(300, 1, 0)), 0U);
  Ids nearly = periodic(0, 10, 60);
  for (std::size_t i = 25; i < nearly.size(); i += 10) nearly[i] = -static_cast<std::int32_t>(i);
  EXPECT_EQ(caught_after(nearly), 0U) << "a list whose items begin alike";
}

}  // namespace
}  // namespace aira
