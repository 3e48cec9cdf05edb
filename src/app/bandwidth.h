// How fast this machine's cores together read memory: the limit of decoding, where each step reads
// every weight once.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace aira {

class Bandwidth {
 public:
  /// Fills 512 MB in 2 MB pages, shared evenly by `threads` >= 1. Throws Error without that memory.
  explicit Bandwidth(int threads);
  /// Reads all of it once, each thread its part; bytes per second.
  double measure();

 private:
  std::vector<std::shared_ptr<std::uint64_t>> parts_;
  std::size_t words_ = 0;  // of a part
  std::uint64_t sum_ = 0;  // kept, so that the reading cannot be left out
};

}  // namespace aira
