// How fast this machine's cores together read memory: the limit of decoding, where each token reads
// every weight once. Prints GB/s, the median of nine passes over 256 MB per thread in 2 MB pages.
// usage: bandwidth [THREADS]      build: g++ -O3 -march=native -pthread bandwidth.cc
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kBytes = std::size_t{256} << 20;

const std::uint64_t* filled() {
  auto* memory = static_cast<std::uint64_t*>(
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) std::exit(1);
  madvise(memory, kBytes, MADV_HUGEPAGE);
  for (std::size_t i = 0; i < kBytes / 8; ++i) memory[i] = i;
  return memory;
}

std::uint64_t sum(const std::uint64_t* memory) {
  std::uint64_t total[8] = {};
  for (std::size_t i = 0; i < kBytes / 8; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) total[j] += memory[i + j];
  }
  return total[0] ^ total[1] ^ total[2] ^ total[3] ^ total[4] ^ total[5] ^ total[6] ^ total[7];
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(std::atoi(argv[1]), 1) : 2;
  std::vector<const std::uint64_t*> memory;
  for (int i = 0; i < threads; ++i) memory.push_back(filled());
  std::vector<double> speeds;
  volatile std::uint64_t sink = 0;  // the sums are used, so they are computed
  for (int pass = 0; pass < 9; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> team;
    for (int i = 0; i < threads; ++i) team.emplace_back([&, i] { sink = sum(memory[i]); });
    for (std::thread& thread : team) thread.join();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    speeds.push_back(static_cast<double>(kBytes) * threads / elapsed.count() / 1e9);
  }
  std::sort(speeds.begin(), speeds.end());
  std::printf("%.1f\n", speeds[speeds.size() / 2]);
}
