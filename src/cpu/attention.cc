#include "cpu/attention.h"

#include <cassert>
#include <cstring>

#include "cpu/memory.h"

namespace aira::cpu {
namespace {

/// Bytes of one page in one layer. A page's layers follow each other: a short answer touches the
/// start of the cache only, and new memory is expensive (milliseconds for 2 MB on a virtual
/// machine).
std::int64_t page_bytes(const KvCache& cache) {
  return cache.heads * page_numbers(cache.head_size) * size_of(cache.dtype);
}

}  // namespace

std::int64_t cache_bytes(const KvCache& shape) {
  return shape.layers * shape.pages * page_bytes(shape);
}

void Attention::reserve(const KvCache& shape) {
  assert(shape.dtype == DType::kF32 || shape.dtype == DType::kF16);
  const std::int64_t floats = attention_scratch(shape.context, shape.head_size);
  if (floats <= scratch_floats_) return;
  for (Buffer& buffer : scratch_) buffer = allocate(floats * size_of(DType::kF32));
  scratch_floats_ = floats;
}

void Attention::copy_pages(const KvCache& cache, std::span<const PageCopy> copies) {
  const std::int64_t bytes = page_bytes(cache);
  const auto count = static_cast<std::int64_t>(copies.size());
  pool_.split(cache.layers * count, [&](std::int64_t begin, std::int64_t end, int /*member*/) {
    for (std::int64_t i = begin; i < end; ++i) {
      const PageCopy& copy = copies[static_cast<std::size_t>(i % count)];
      std::byte* layer = static_cast<std::byte*>(cache.data.get()) + i / count * bytes;
      const std::int64_t page = cache.layers * bytes;
      std::memcpy(layer + copy.to * page, layer + copy.from * page,
                  static_cast<std::size_t>(bytes));
    }
  });
}

void Attention::begin(std::span<const Row> rows, const PageTable& table) {
  rows_ = rows;
  table_ = table;
  groups_.clear();
  shared_slots_ = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool follows =
        i > 0 && rows[i].slot == rows[i - 1].slot && rows[i].position == rows[i - 1].position + 1;
    if (follows && groups_.back().count < kQueryRows) {
      ++groups_.back().count;
      continue;
    }
    // A slot's rows follow each other, so only neighbours can share one.
    shared_slots_ = shared_slots_ || follows;
    groups_.push_back({static_cast<std::int64_t>(i), 1});
  }
}

void Attention::attend(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                       Tensor out) {
  const AttentionKernels& kernels =
      cache.dtype == DType::kF32 ? kernels_.attention_f32 : kernels_.attention_f16;
  const std::int64_t numbers = page_numbers(cache.head_size);
  // One group of rows and one head.
  const auto job = [&](std::int64_t index, int member) -> AttentionJob {
    const RowGroup& group = groups_[static_cast<std::size_t>(index / cache.heads)];
    const Row& row = rows_[static_cast<std::size_t>(group.first)];
    const std::int64_t head = index % cache.heads;
    const std::int64_t first = (layer * cache.heads + head) * numbers;
    return {.qkv = qkv.data + group.first * qkv.cols + head * cache.head_size,
            .width = out.cols,
            .rows = group.count,
            .position = row.position,
            .cells = static_cast<std::byte*>(cache.data.get()) + first * size_of(cache.dtype),
            .page_stride = cache.layers * cache.heads * numbers,
            .pages = table_.pages.data() + row.slot * table_.width,
            .head_size = cache.head_size,
            .scale = scale,
            .out = out.data + group.first * out.cols + head * cache.head_size,
            .scratch = static_cast<float*>(scratch_[static_cast<std::size_t>(member)].get())};
  };
  const auto each_job = [&](const auto& body) {
    const auto jobs = static_cast<std::int64_t>(groups_.size()) * cache.heads;
    pool_.split(jobs, [&](std::int64_t begin, std::int64_t end, int member) {
      for (std::int64_t i = begin; i < end; ++i) body(job(i, member));
    });
  };
  // A group of a shared slot reads what others append.
  if (shared_slots_) each_job(kernels.append);
  each_job([&](const AttentionJob& one) {
    if (!shared_slots_) kernels.append(one);
    kernels.attend(one);
  });
}

}  // namespace aira::cpu
