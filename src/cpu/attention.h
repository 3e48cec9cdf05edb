// The KV cache in host memory, and how attention over it is divided among the threads of the pool:
// by heads where there are enough of them, else by ranges of keys (attention_impl.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "cpu/kernels.h"
#include "model/backend.h"

namespace aira::cpu {

/// Bytes of the pages of such a cache.
std::int64_t cache_bytes(const KvCache& shape);

class Attention {
 public:
  Attention(ThreadPool& pool, const Kernels& kernels)
      : pool_(pool),
        kernels_(kernels),
        scratch_(static_cast<std::size_t>(pool.size())),
        ranges_done_(static_cast<std::size_t>(most_split())) {}

  /// Allocates the memory that attention over such a cache needs.
  void reserve(const KvCache& shape);
  /// The same for steps of up to `rows` rows.
  void reserve_rows(std::int64_t rows) { groups_.reserve(static_cast<std::size_t>(rows)); }
  /// Backend::copy_pages.
  void copy_pages(const KvCache& cache, std::span<const PageCopy> copies);
  /// Backend::begin; `rows` and the table's pages must live as long as the step.
  void begin(std::span<const Row> rows, const PageTable& table);

  /// The arguments of Backend::attention.
  struct Call {
    Tensor qkv;
    const KvCache* cache = nullptr;
    std::int64_t layer = 0;
    float scale = 1;
    Tensor out;
  };
  void attend(const Call& call);

 private:
  /// Consecutive rows of a step with consecutive positions of one slot, at most kQueryRows.
  struct RowGroup {
    std::int64_t first = 0;
    std::int64_t count = 0;
  };

  AttentionJob job(std::int64_t index, const Call& call) const;
  void attend_by_ranges(const Call& call, const AttentionKernels& kernels);
  /// Jobs up to which ranges of keys are divided instead of heads; 0 for a single thread.
  std::int64_t most_split() const;
  float* scratch(int member) {
    return static_cast<float*>(scratch_[static_cast<std::size_t>(member)].get());
  }

  ThreadPool& pool_;
  const Kernels& kernels_;
  std::vector<Buffer> scratch_;  // of each thread
  std::int64_t scratch_floats_ = 0;
  Buffer partial_;  // of the jobs whose ranges are divided
  std::int64_t partial_floats_ = 0;
  std::vector<std::atomic<std::int64_t>> ranges_done_;  // of each of these jobs
  std::span<const Row> rows_;
  PageTable table_;
  std::vector<RowGroup> groups_;
  std::int64_t most_ranges_ = 0;  // of keys, of any group
  bool shared_slots_ = false;     // some slot has rows in more than one group
};

}  // namespace aira::cpu
