// The KV cache in host memory; attention is divided among threads by heads and groups of rows.
#pragma once

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
      : pool_(pool), kernels_(kernels), scratch_(static_cast<std::size_t>(pool.size())) {}

  /// Allocates the memory that attention over such a cache needs.
  void reserve(const KvCache& shape);
  /// The same for steps of up to `rows` rows.
  void reserve_rows(std::int64_t rows) { groups_.reserve(static_cast<std::size_t>(rows)); }
  /// Backend::copy_pages.
  void copy_pages(const KvCache& cache, std::span<const PageCopy> copies);
  /// Backend::begin; `rows` and the table's pages must live as long as the step.
  void begin(std::span<const Row> rows, const PageTable& table);
  /// Backend::attention.
  void attend(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale, Tensor out);

 private:
  /// Consecutive rows of a step with consecutive positions of one slot, at most kQueryRows.
  struct RowGroup {
    std::int64_t first = 0;
    std::int64_t count = 0;
  };

  ThreadPool& pool_;
  const Kernels& kernels_;
  std::vector<Buffer> scratch_;  // of each thread
  std::int64_t scratch_floats_ = 0;
  std::span<const Row> rows_;
  PageTable table_;
  std::vector<RowGroup> groups_;
  bool shared_slots_ = false;  // some slot has rows in more than one group
};

}  // namespace aira::cpu
