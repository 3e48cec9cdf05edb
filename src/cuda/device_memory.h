// Owned device memory and pinned host memory.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "kernels/check.h"
#include "model/tensor.h"

namespace aira::cuda {

/// Device memory, uninitialised, on a 256-byte boundary. Throws Error with both sizes when there is
/// not enough.
Buffer allocate_device(std::int64_t bytes);
/// The same, all zero.
Buffer allocate_zeroed(std::int64_t bytes);
/// Page-locked host memory, which copies can use directly and asynchronously.
Buffer allocate_pinned(std::int64_t bytes);

/// Device memory that is allocated in advance for a use that varies.
template <typename T>
class Scratch {
 public:
  /// Room for `count` numbers, zero when `zeroed`; a larger one that is there stays.
  void reserve(std::int64_t count, bool zeroed = false) {
    if (count <= count_) return;
    const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(T));
    memory_ = zeroed ? allocate_zeroed(bytes) : allocate_device(bytes);
    count_ = count;
  }
  T* get(std::int64_t count) const {
    assert(count <= count_);
    static_cast<void>(count);
    return static_cast<T*>(memory_.get());
  }

 private:
  Buffer memory_;
  std::int64_t count_ = 0;
};

/// Copies host memory to the device through two pinned buffers, so that one part is prepared while
/// the one before it is copied.
class Uploader {
 public:
  explicit Uploader(cudaStream_t stream);
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  /// Calls fill(part, begin, end) to write ranges of [0, count) items of `item_bytes` each to
  /// `part`, and copies them to `to`; returns when the last copies are enqueued.
  template <typename Fill>
  void upload(void* to, std::int64_t count, std::int64_t item_bytes, const Fill& fill) {
    const std::int64_t items = std::max<std::int64_t>(kPartBytes / item_bytes, 1);
    for (std::int64_t begin = 0; begin < count; begin += items) {
      const std::int64_t end = std::min(begin + items, count);
      void* part = next_part((end - begin) * item_bytes);
      fill(part, begin, end);
      send(static_cast<std::byte*>(to) + begin * item_bytes, (end - begin) * item_bytes);
    }
  }

 private:
  static constexpr std::int64_t kPartBytes = std::int64_t{4} << 20;
  void* next_part(std::int64_t bytes);
  void send(void* to, std::int64_t bytes);

  struct Part {
    Buffer memory;
    std::int64_t bytes = 0;
    cudaEvent_t sent = nullptr;
  };
  cudaStream_t stream_;
  Part parts_[2];
  int current_ = 0;
};

}  // namespace aira::cuda
