// Memory that the GPU works with, owned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/check.h"
#include "model/tensor.h"

namespace aira::cuda {

/// Device memory, uninitialised, on a 256-byte boundary. Throws Error with both sizes when there is
/// not enough.
Buffer allocate_device(std::int64_t bytes);
/// Host memory that copies can run from and to without a detour.
Buffer allocate_pinned(std::int64_t bytes);

/// Device memory that grows. What it handed out before stays valid until the end, since recorded
/// steps may hold it.
class Scratch {
 public:
  /// At least `bytes`; new memory is zero when `zeroed`. Not while a step is being recorded, unless
  /// as much was asked for before.
  template <typename T>
  T* get(std::int64_t count, bool zeroed = false) {
    return static_cast<T*>(get_bytes(count * static_cast<std::int64_t>(sizeof(T)), zeroed));
  }

 private:
  void* get_bytes(std::int64_t bytes, bool zeroed);

  std::vector<Buffer> all_;
  std::int64_t bytes_ = 0;
};

/// Brings host memory to the device through two pinned buffers, so that the next part is prepared
/// while the last one is on its way.
class Uploader {
 public:
  explicit Uploader(cudaStream_t stream);
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  /// Calls fill(part, begin, end) for stretches of [0, count) items of `item_bytes` each, to write
  /// them to `part`, and copies them to `to`; the last parts may be on their way when it returns,
  /// in the order of the stream.
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
