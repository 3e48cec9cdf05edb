// ThreadPool: every member runs once per round, parts cover the range, many rounds in a row, more
// threads than cores.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <vector>

namespace aira {
namespace {

TEST(ThreadPool, RunsEachMemberOncePerRound) {
  for (const int threads : {1, 2, 3, 17}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    std::vector<int> calls(static_cast<std::size_t>(threads));
    for (int round = 0; round < 300; ++round) {
      pool.run([&](int member) { ++calls[static_cast<std::size_t>(member)]; });
    }
    for (const int count : calls) EXPECT_EQ(count, 300);
  }
}

TEST(ThreadPool, SplitCoversTheRangeOnce) {
  for (const int threads : {1, 2, 5, 16}) {
    ThreadPool pool(threads);
    for (const std::int64_t count : {0, 1, 2, 7, 16, 1001}) {
      std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
      pool.split(count, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
      });
      for (const auto& hit : hits) EXPECT_EQ(hit.load(), 1);
    }
  }
}

TEST(ThreadPool, WritesOfARoundAreSeenByTheNext) {
  ThreadPool pool(4);
  std::vector<std::int64_t> sums(4);
  for (int round = 0; round < 1000; ++round) {
    pool.run([&](int member) {
      // Reads what another member wrote in the round before.
      const auto other = static_cast<std::size_t>((member + 1) % 4);
      EXPECT_GE(sums[other] + 1, 0);
    });
    pool.run([&](int member) { ++sums[static_cast<std::size_t>(member)]; });
  }
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), std::int64_t{0}), 4000);
}

TEST(ThreadPool, UsableCoresIsPositive) { EXPECT_GE(ThreadPool::usable_cores(), 1); }

}  // namespace
}  // namespace aira
