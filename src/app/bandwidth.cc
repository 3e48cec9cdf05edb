#include "app/bandwidth.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "aira/error.h"
#include "base/huge_pages.h"

namespace aira {
namespace {

constexpr std::size_t kBytes = std::size_t{512} << 20;
constexpr std::size_t kLanes = 8;

std::uint64_t sum(const std::uint64_t* words, std::size_t count) {
  std::array<std::uint64_t, kLanes> total{};
  for (std::size_t i = 0; i < count; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) total[j] += words[i + j];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t lane : total) all ^= lane;
  return all;
}

}  // namespace

Bandwidth::Bandwidth(int threads)
    : words_(kBytes / static_cast<std::size_t>(threads) / 8 / kLanes * kLanes) {
  for (int i = 0; i < threads; ++i) {
    const auto memory = allocate_huge_pages(words_ * 8);
    if (!memory) throw Error("There is not enough memory to measure how fast it is.");
    auto* words = reinterpret_cast<std::uint64_t*>(memory.get());
    for (std::size_t w = 0; w < words_; ++w) words[w] = w;
    parts_.emplace_back(memory, words);
  }
}

double Bandwidth::measure() {
  std::vector<std::uint64_t> sums(parts_.size());
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> team;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    team.emplace_back([&, i] { sums[i] = sum(parts_[i].get(), words_); });
  }
  for (std::thread& thread : team) thread.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  for (const std::uint64_t part : sums) sum_ += part;
  const std::size_t bytes = words_ * 8 * parts_.size() + static_cast<std::size_t>(sum_ == 1);
  return static_cast<double>(bytes) / elapsed.count();
}

}  // namespace aira
