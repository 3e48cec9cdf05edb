// Host memory for weights and activations.
#pragma once

#include <cstdint>
#include <memory>

#include "model/tensor.h"

namespace aira::cpu {

/// `bytes` of uninitialised memory on a 64-byte boundary. Throws Error when there is not enough.
Buffer allocate(std::int64_t bytes);

/// Allocates from large blocks in 2 MB pages: each token reads all weights, and with 4 kB pages
/// address translation halves the speed of that. A block lives as long as anything in it.
class HugePageArena {
 public:
  /// Uninitialised memory on a 64-byte boundary. Throws Error when there is not enough.
  Buffer allocate(std::int64_t bytes);

 private:
  std::shared_ptr<std::byte> block_;
  std::int64_t used_ = 0;
  std::int64_t size_ = 0;
};

}  // namespace aira::cpu
