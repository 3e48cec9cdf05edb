// Host memory for weights and activations.
#pragma once

#include <cstdint>
#include <memory>

#include "model/tensor.h"

namespace aira::cpu {

/// `bytes` of uninitialised memory on a 64-byte boundary. Throws Error when there is not enough.
Buffer allocate(std::int64_t bytes);

/// Hands out memory from large stretches that ask for 2 MB pages: weights are read from end to end
/// for each token, and with 4 kB pages address translation halves the speed of that. A stretch
/// lives as long as anything in it.
class HugePageArena {
 public:
  /// Uninitialised memory on a 64-byte boundary. Throws Error when there is not enough.
  Buffer allocate(std::int64_t bytes);

 private:
  std::shared_ptr<std::byte> stretch_;
  std::int64_t used_ = 0;
  std::int64_t size_ = 0;
};

}  // namespace aira::cpu
