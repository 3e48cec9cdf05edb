#include "cpu/attention.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "cpu/memory.h"

namespace aira::cpu {
namespace {

/// Pieces of attention for each thread, below which heads alone would leave some idle at the end.
constexpr std::int64_t kJobsPerMember = 4;

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

std::int64_t Attention::most_split() const {
  return pool_.size() > 1 ? kJobsPerMember * pool_.size() : 0;
}

void Attention::reserve(const KvCache& shape) {
  assert(shape.dtype == DType::kF32 || shape.dtype == DType::kF16);
  const std::int64_t partial = attention_partial(shape.context, shape.head_size);
  const std::int64_t floats = attention_scratch(shape.head_size) + partial;
  if (floats > scratch_floats_) {
    for (Buffer& buffer : scratch_) buffer = allocate(floats * size_of(DType::kF32));
    scratch_floats_ = floats;
  }
  if (partial * most_split() > partial_floats_) {
    partial_floats_ = partial * most_split();
    partial_ = allocate(partial_floats_ * size_of(DType::kF32));
  }
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
  most_ranges_ = 0;
  shared_slots_ = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    most_ranges_ = std::max(most_ranges_, key_ranges(rows[i].position));
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

/// The job of one group of rows and one head; `partial` and `scratch` are the caller's to set.
AttentionJob Attention::job(std::int64_t index, const Call& call) const {
  const KvCache& cache = *call.cache;
  const RowGroup& group = groups_[static_cast<std::size_t>(index / cache.heads)];
  const Row& row = rows_[static_cast<std::size_t>(group.first)];
  const std::int64_t head = index % cache.heads;
  const std::int64_t numbers = page_numbers(cache.head_size);
  const std::int64_t first = (call.layer * cache.heads + head) * numbers;
  return {.qkv = call.qkv.data + group.first * call.qkv.cols + head * cache.head_size,
          .width = call.out.cols,
          .rows = group.count,
          .position = row.position,
          .cells = static_cast<std::byte*>(cache.data.get()) + first * size_of(cache.dtype),
          .page_stride = cache.layers * cache.heads * numbers,
          .pages = table_.pages.data() + row.slot * table_.width,
          .head_size = cache.head_size,
          .scale = call.scale,
          .out = call.out.data + group.first * call.out.cols + head * cache.head_size};
}

void Attention::attend(const Call& call) {
  const KvCache& cache = *call.cache;
  const AttentionKernels& kernels =
      cache.dtype == DType::kF32 ? kernels_.attention_f32 : kernels_.attention_f16;
  const auto jobs = static_cast<std::int64_t>(groups_.size()) * cache.heads;
  if (jobs < most_split() && most_ranges_ > 1) return attend_by_ranges(call, kernels);
  const auto each_job = [&](const auto& body) {
    pool_.split(jobs, [&](std::int64_t begin, std::int64_t end, int member) {
      for (std::int64_t i = begin; i < end; ++i) {
        AttentionJob job = this->job(i, call);
        job.scratch = scratch(member);
        job.partial = job.scratch + attention_scratch(cache.head_size);
        body(job);
      }
    });
  };
  if (shared_slots_) {  // a group reads what others append
    each_job([&](const AttentionJob& job) { kernels.append(job); });
  }
  each_job([&](const AttentionJob& job) {
    if (!shared_slots_) kernels.append(job);
    for (std::int64_t range = 0; range < key_ranges(job.position + job.rows - 1); ++range) {
      kernels.attend(job, range);
    }
    kernels_.merge(job);
  });
}

/// With too few heads for the threads: the thread that computes the last range of a job merges it.
void Attention::attend_by_ranges(const Call& call, const AttentionKernels& kernels) {
  const auto jobs = static_cast<std::int64_t>(groups_.size()) * call.cache->heads;
  const std::int64_t floats = attention_partial(call.cache->context, call.cache->head_size);
  for (std::int64_t i = 0; i < jobs; ++i) kernels.append(job(i, call));
  pool_.split(jobs * most_ranges_, [&](std::int64_t begin, std::int64_t end, int member) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t index = i / most_ranges_;
      AttentionJob job = this->job(index, call);
      const std::int64_t ranges = key_ranges(job.position + job.rows - 1);
      if (i % most_ranges_ >= ranges) continue;
      job.scratch = scratch(member);
      job.partial = static_cast<float*>(partial_.get()) + index * floats;
      kernels.attend(job, i % most_ranges_);
      std::atomic<std::int64_t>& done = ranges_done_[static_cast<std::size_t>(index)];
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 < ranges) continue;
      done.store(0, std::memory_order_relaxed);
      kernels_.merge(job);
    }
  });
}

}  // namespace aira::cpu
