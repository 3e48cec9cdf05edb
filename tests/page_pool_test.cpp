// PagePool: who holds a page, what is known of it, and in what order it is forgotten.
#include "run/sequences.h"

#include <gtest/gtest.h>

#include <set>

namespace aira {
namespace {

constexpr std::int32_t kNone = PagePool::kNone;

PagePool::PageIds ids(std::int32_t first) {
  PagePool::PageIds result{};
  for (std::int32_t& id : result) id = first++;
  return result;
}

TEST(PagePool, GivesEachPageOnceAndFirstThoseUsedBefore) {
  PagePool pool(5, 2);
  std::set<std::int32_t> taken;
  for (int i = 0; i < 5; ++i) taken.insert(pool.take());
  EXPECT_EQ(taken.size(), 5U);
  EXPECT_EQ(pool.available(), 0);
  pool.release(3);
  pool.release(1);
  EXPECT_EQ(pool.available(), 2);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.take(), 3);
}

TEST(PagePool, ASharedPageStaysUntilItsLastUserLeaves) {
  PagePool pool(1, 0);
  const std::int32_t page = pool.take();
  pool.share(page);
  pool.release(page);
  EXPECT_EQ(pool.available(), 0);
  pool.release(page);
  EXPECT_EQ(pool.available(), 1);
}

TEST(PagePool, FindsWhatWasPublishedAfterTheSameBeginning) {
  PagePool pool(4, 4);
  const std::int32_t first = pool.take();
  const std::int32_t second = pool.take();
  EXPECT_EQ(pool.find(kNone, ids(1)), kNone);
  pool.publish(first, kNone, ids(1));
  pool.publish(second, first, ids(7));
  EXPECT_EQ(pool.find(kNone, ids(1)), first);
  EXPECT_EQ(pool.find(first, ids(7)), second);
  EXPECT_EQ(pool.find(kNone, ids(7)), kNone) << "after another beginning";
  EXPECT_EQ(pool.find(second, ids(7)), kNone);
  // Found once each: both have two users now.
  for (const std::int32_t page : {first, second}) pool.release(page);
  EXPECT_EQ(pool.available(), 2);
}

TEST(PagePool, TheSecondPageOfTheSameContentsStaysUnknown) {
  PagePool pool(3, 3);
  const std::int32_t first = pool.take();
  const std::int32_t twin = pool.take();
  const std::int32_t child = pool.take();
  pool.publish(first, kNone, ids(1));
  pool.publish(twin, kNone, ids(1));
  pool.publish(child, twin, ids(9));  // after an unknown page
  EXPECT_EQ(pool.find(kNone, ids(1)), first);
  EXPECT_EQ(pool.find(first, ids(9)), kNone);
  EXPECT_EQ(pool.find(twin, ids(9)), kNone);
}

TEST(PagePool, KeepsTheNewestUnusedPages) {
  PagePool pool(4, 2);
  for (std::int32_t i = 0; i < 3; ++i) {
    const std::int32_t page = pool.take();
    pool.publish(page, kNone, ids(100 * i));
  }
  for (const std::int32_t page : {0, 1, 2}) pool.release(page);
  EXPECT_EQ(pool.available(), 4);
  EXPECT_EQ(pool.find(kNone, ids(0)), kNone) << "the oldest is forgotten";
  EXPECT_EQ(pool.find(kNone, ids(100)), 1);
  EXPECT_EQ(pool.find(kNone, ids(200)), 2);
}

TEST(PagePool, KeptPagesAreGivenOutWhenNoneAreFree) {
  PagePool pool(2, 2);
  for (const std::int32_t i : {1, 2}) pool.publish(pool.take(), kNone, ids(i));
  pool.release(0);
  pool.release(1);
  EXPECT_EQ(pool.available(), 2);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.find(kNone, ids(1)), kNone);
  EXPECT_EQ(pool.find(kNone, ids(2)), 1);
}

TEST(PagePool, AChildIsNotFoundAfterItsParentsPageHoldsSomethingElse) {
  PagePool pool(3, 3);
  const std::int32_t parent = pool.take();
  const std::int32_t child = pool.take();
  pool.publish(parent, kNone, ids(1));
  pool.publish(child, parent, ids(2));
  pool.release(parent);
  pool.release(child);
  ASSERT_EQ(pool.take(), 2);
  ASSERT_EQ(pool.take(), parent) << "the oldest is forgotten first";
  pool.publish(parent, kNone, ids(50));
  EXPECT_EQ(pool.find(parent, ids(2)), kNone);
}

}  // namespace
}  // namespace aira
