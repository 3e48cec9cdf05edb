// ThreadPool: pieces cover the range, many rounds in a row, sleeping workers, more threads than
// cores.
#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace aira {
namespace {

TEST(ThreadPool, CoversTheRangeOnce) {
  for (const int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    for (const std::int64_t count : {0, 1, 2, 7, 16, 33, 1001, 100003}) {
      std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
      pool.split(count, [&](std::int64_t begin, std::int64_t end, int member) {
        EXPECT_LT(begin, end);
        EXPECT_LT(member, threads);
        for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
      });
      for (const auto& hit : hits) ASSERT_EQ(hit.load(), 1) << count << " on " << threads;
    }
  }
}

// Each round reads what the one before wrote, whoever wrote it; rounds follow each other at once,
// so that workers are late, asleep or in the middle of the one before.
TEST(ThreadPool, RoundsFollowEachOther) {
  for (const int threads : {2, 5}) {
    ThreadPool pool(threads);
    std::vector<std::int64_t> numbers(61, 0);
    for (std::int64_t round = 0; round < 20000; ++round) {
      pool.split(61, [&](std::int64_t begin, std::int64_t end, int /*member*/) {
        for (std::int64_t i = begin; i < end; ++i) {
          auto& number = numbers[static_cast<std::size_t>(i)];
          if (number == round) ++number;
        }
      });
    }
    for (const std::int64_t number : numbers) EXPECT_EQ(number, 20000);
  }
}

TEST(ThreadPool, WorkersThatSleptWakeUp) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> sum = 0;
    pool.split(100, [&](std::int64_t begin, std::int64_t end, int /*member*/) {
      sum += static_cast<int>(end - begin);
    });
    EXPECT_EQ(sum, 100);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TEST(ThreadPool, UsableCoresFollowsTheAffinity) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(ThreadPool::usable_cores(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_LE(ThreadPool::usable_cores(), CPU_COUNT(&allowed));
}

}  // namespace
}  // namespace aira
