#include "base/memory_speed.h"

#include <array>
#include <atomic>
#include <chrono>
#include <numeric>

namespace aira {

double read_speed(std::span<const std::uint64_t> words, ThreadPool& pool) {
  constexpr std::int64_t kLanes = 8;
  std::atomic<std::uint64_t> sum{0};  // so that the reading cannot be left out
  const auto start = std::chrono::steady_clock::now();
  pool.split(std::ssize(words) / kLanes, [&](std::int64_t begin, std::int64_t end, int) {
    std::array<std::uint64_t, kLanes> lanes{};
    const std::uint64_t* word = words.data() + begin * kLanes;
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::uint64_t& lane : lanes) lane += *word++;
    }
    sum += std::accumulate(lanes.begin(), lanes.end(), std::uint64_t{0});
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return static_cast<double>(words.size_bytes()) / seconds.count();
}

}  // namespace aira
