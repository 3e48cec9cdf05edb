// How each operation is spread over the thread team; what a thread then does is in the kernels.
#include "cpu/cpu_backend.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstring>
#include <vector>

#include "aira/error.h"
#include "base/half.h"
#include "base/thread_pool.h"
#include "cpu/memory.h"
#include "cpu/screening.h"
#include "cpu/unpack.h"

namespace aira {
namespace {

using cpu::AttentionJob;
using cpu::AttentionKernels;
using cpu::Kernels;
using cpu::kPanel;
using cpu::kQueryRows;
using cpu::LinearJob;
using cpu::PackJob;
using cpu::round_up;

/// Rows from which row-wise operations are worth waking the team.
constexpr std::int64_t kParallelRows = 8;
/// Pieces of attention for each thread, below which heads alone would leave some idle at the end.
constexpr std::int64_t kJobsPerMember = 4;

/// Consecutive rows of a step with consecutive positions of one slot, at most kQueryRows.
struct RowGroup {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// Bytes of one page in one layer. A page's layers follow each other: a short answer touches the
/// cache's beginning only, and new memory is dear (on a virtual machine milliseconds for 2 MB).
std::int64_t page_bytes(const KvCache& cache) {
  return cache.heads * cpu::page_numbers(cache.head_size) * size_of(cache.dtype);
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, const Kernels& kernels, std::int64_t least_screened)
      : pool_(threads),
        kernels_(kernels),
        screening_(pool_, kernels, least_screened),
        scratch_(static_cast<std::size_t>(pool_.size())),
        ranges_done_(static_cast<std::size_t>(most_split())) {}

  std::string description() const override {
    return "cpu (" + std::string(kernels_.name) + ", " + std::to_string(pool_.size()) +
           (pool_.size() == 1 ? " thread)" : " threads)");
  }

  Buffer alloc(std::int64_t bytes) override { return cpu::allocate(bytes); }
  Matrix load_matrix(const HostMatrix& source, DType dtype) override;
  std::string packing() const override {
    return "panels " + std::to_string(cpu::kPanelLayout) + ", screen " +
           std::to_string(cpu::kScreenLayout);
  }
  std::int64_t packed_bytes(std::int64_t in, std::int64_t out, DType dtype) const override {
    return cpu::packed_bytes(dtype, in, out);
  }
  Matrix adopt_matrix(const std::shared_ptr<const std::byte>& packed, std::int64_t in,
                      std::int64_t out, DType dtype) override {
    reserve_scratch(in * kPanel);
    return {packed, dtype, in, out};
  }
  Matrix make_screen(const Matrix& weights) override;
  std::int64_t screen_bytes(std::int64_t in, std::int64_t out, DType dtype) const override {
    return screening_.bytes(in, out, dtype);
  }
  Vector load_vector(const std::shared_ptr<const std::byte>& source, DType dtype,
                     std::int64_t size) override;
  KvCache make_cache(KvCache shape) override;
  void copy_pages(const KvCache& cache, std::span<const PageCopy> copies) override;
  void write(const Tensor& tensor, std::span<const float> source) override {
    assert(static_cast<std::int64_t>(source.size()) == tensor.rows * tensor.cols);
    std::copy(source.begin(), source.end(), tensor.data);
  }
  std::span<const float> read(const Tensor& tensor) override {
    return {tensor.data, static_cast<std::size_t>(tensor.rows * tensor.cols)};
  }

  void begin(std::span<const Row> rows, std::span<const std::int32_t> wanted,
             const PageTable& table) override;
  void end() override {}
  void embed(const Matrix& tokens, const Vector& positions, Tensor out) override;
  void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                 Tensor out) override;
  void linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) override;
  void greatest(Tensor x, const Matrix& weights, const Matrix& screen,
                std::span<const Shortlist> lists, Tensor out) override {
    if (!screening_.greatest(x, weights, screen, lists, out)) linear(x, weights, {}, out);
  }
  void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                 Tensor out) override;
  void select(Tensor x, Tensor out) override;
  int workers() const override { return pool_.size(); }
  void side_by_side(std::int64_t count,
                    const std::function<void(std::int64_t, int)>& work) override {
    pool_.split(count, [&](std::int64_t begin, std::int64_t end, int member) {
      for (std::int64_t i = begin; i < end; ++i) work(i, member);
    });
  }

 private:
  /// Calls body(row) for each row, on the team when there are many.
  template <typename Body>
  void each_row(std::int64_t rows, const Body& body) {
    const auto some = [&](std::int64_t begin, std::int64_t end, int /*member*/) {
      for (std::int64_t row = begin; row < end; ++row) body(row);
    };
    if (rows < kParallelRows) {
      some(0, rows, 0);
    } else {
      pool_.split(rows, some);
    }
  }
  /// What attention() was called with.
  struct Attention {
    Tensor qkv;
    const KvCache* cache = nullptr;
    std::int64_t layer = 0;
    float scale = 1;
    Tensor out;
  };
  AttentionJob attention_job(std::int64_t index, const Attention& all) const;
  void attention_by_ranges(const Attention& all, const AttentionKernels& kernels);
  /// Jobs up to which ranges of keys are dealt out, not heads; none for a single thread.
  std::int64_t most_split() const { return pool_.size() > 1 ? kJobsPerMember * pool_.size() : 0; }

  /// Scratch memory for each member of the team; grows while loading only.
  void reserve_scratch(std::int64_t floats);
  /// Memory for a linear map's inputs in int8; grows with the first steps only.
  cpu::QuantizedRows quantized_rows(std::int64_t rows, std::int64_t in);
  float* scratch(int member) {
    return static_cast<float*>(scratch_[static_cast<std::size_t>(member)].get());
  }

  ThreadPool pool_;
  const Kernels& kernels_;
  cpu::Screening screening_;
  cpu::HugePageArena weights_;
  std::vector<Buffer> scratch_;
  std::int64_t scratch_floats_ = 0;
  Buffer partial_;  // of the jobs whose ranges are dealt out
  std::int64_t partial_floats_ = 0;
  std::vector<std::atomic<std::int64_t>> ranges_done_;  // of each of these jobs
  Buffer quantized_;
  std::int64_t quantized_groups_ = 0;
  std::span<const Row> rows_;
  std::span<const std::int32_t> wanted_;
  PageTable table_;
  std::vector<RowGroup> groups_;
  std::int64_t most_ranges_ = 0;  // of keys, of any group
  bool shared_slots_ = false;     // some slot has rows in more than one group
};

void CpuBackend::reserve_scratch(std::int64_t floats) {
  if (floats <= scratch_floats_) return;
  for (Buffer& buffer : scratch_) buffer = cpu::allocate(floats * size_of(DType::kF32));
  scratch_floats_ = floats;
}

cpu::QuantizedRows CpuBackend::quantized_rows(std::int64_t rows, std::int64_t in) {
  const std::int64_t groups = rows * cpu::groups_of(in);
  if (groups > quantized_groups_) {
    quantized_ = cpu::allocate(groups * cpu::kQuantizedGroupBytes);
    quantized_groups_ = groups;
  }
  auto* values = static_cast<std::int8_t*>(quantized_.get());
  auto* scales = reinterpret_cast<float*>(values + groups * cpu::kGroup);
  return {values, scales, reinterpret_cast<std::int32_t*>(scales + groups)};
}

Matrix CpuBackend::load_matrix(const HostMatrix& source, DType dtype) {
  assert(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kI8);
  const std::int64_t panels = round_up(source.out, kPanel) / kPanel;
  const Buffer memory = weights_.allocate(cpu::packed_bytes(dtype, source.in, source.out));
  const PackJob job{.source = source.data.get(),
                    .source_dtype = source.dtype,
                    .out_major = source.out_major,
                    .in = source.in,
                    .out = source.out,
                    .panels = memory.get(),
                    .dtype = dtype};
  std::atomic<bool> fits = true;
  pool_.split(panels, [&](std::int64_t begin, std::int64_t end, int /*member*/) {
    if (!kernels_.pack(job, begin, end)) fits = false;
  });
  if (!fits) {
    throw Error("a weight is too large for half precision (beyond 65504); use --dtype f32.");
  }
  return {memory, dtype, source.in, source.out};
}

Matrix CpuBackend::make_screen(const Matrix& weights) {
  const std::int64_t bytes = screening_.bytes(weights.in, weights.out, weights.dtype);
  if (bytes == 0) return {};
  const Buffer memory = weights_.allocate(bytes);
  screening_.make(weights, static_cast<std::byte*>(memory.get()));
  return {memory, DType::kI8, weights.in, weights.out};
}

Vector CpuBackend::load_vector(const std::shared_ptr<const std::byte>& source, DType dtype,
                               std::int64_t size) {
  const auto address = reinterpret_cast<std::uintptr_t>(source.get());
  if (dtype == DType::kF32 && address % alignof(float) == 0) {
    return {std::shared_ptr<const float>(source, reinterpret_cast<const float*>(source.get())),
            size};
  }
  const Buffer memory = cpu::allocate(size * size_of(DType::kF32));
  auto* out = static_cast<float*>(memory.get());
  if (dtype == DType::kF32) {
    std::memcpy(out, source.get(), static_cast<std::size_t>(size) * sizeof(float));
  } else {
    for (std::int64_t i = 0; i < size; ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, source.get() + i * 2, 2);
      out[i] = dtype == DType::kF16 ? half_to_float(bits) : bfloat_to_float(bits);
    }
  }
  return {std::shared_ptr<const float>(memory, out), size};
}

KvCache CpuBackend::make_cache(KvCache shape) {
  assert(shape.dtype == DType::kF32 || shape.dtype == DType::kF16);
  shape.data = weights_.allocate(shape.layers * shape.pages * page_bytes(shape));
  const std::int64_t partial = cpu::attention_partial(shape.context, shape.head_size);
  reserve_scratch(cpu::attention_scratch(shape.head_size) + partial);
  if (partial * most_split() > partial_floats_) {
    partial_floats_ = partial * most_split();
    partial_ = cpu::allocate(partial_floats_ * size_of(DType::kF32));
  }
  return shape;
}

void CpuBackend::copy_pages(const KvCache& cache, std::span<const PageCopy> copies) {
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

void CpuBackend::begin(std::span<const Row> rows, std::span<const std::int32_t> wanted,
                       const PageTable& table) {
  rows_ = rows;
  wanted_ = wanted;
  table_ = table;
  groups_.clear();
  most_ranges_ = 0;
  shared_slots_ = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    most_ranges_ = std::max(most_ranges_, cpu::key_ranges(rows[i].position));
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

void CpuBackend::embed(const Matrix& tokens, const Vector& positions, Tensor out) {
  each_row(out.rows, [&](std::int64_t t) {
    const Row& row = rows_[static_cast<std::size_t>(t)];
    const float* position = positions.data.get() + row.position * tokens.in;
    cpu::unpack(tokens, row.token, out.data + t * out.cols);
    for (std::int64_t c = 0; c < out.cols; ++c) out.data[t * out.cols + c] += position[c];
  });
}

void CpuBackend::layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                           Tensor out) {
  each_row(x.rows, [&](std::int64_t t) {
    kernels_.layernorm(x.data + t * x.cols, gain.data.get(), bias.data.get(), epsilon, x.cols,
                       out.data + t * x.cols);
  });
}

void CpuBackend::linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) {
  assert(x.cols == weights.in && out.cols == weights.out && x.rows == out.rows);
  const bool int8 = weights.dtype == DType::kI8;
  const LinearJob job{.x = x.data,
                      .quantized = int8 ? quantized_rows(x.rows, weights.in) : cpu::QuantizedRows{},
                      .rows = x.rows,
                      .panels = weights.data.get(),
                      .in = weights.in,
                      .out = weights.out,
                      .bias = epilogue.bias == nullptr ? nullptr : epilogue.bias->data.get(),
                      .activation = epilogue.activation,
                      .residual = epilogue.residual.data,
                      .y = out.data};
  if (int8) each_row(x.rows, [&](std::int64_t row) { kernels_.quantize(job, row); });
  const auto kernel = int8                           ? kernels_.linear_i8
                      : weights.dtype == DType::kF32 ? kernels_.linear_f32
                                                     : kernels_.linear_f16;
  const std::int64_t panels = round_up(weights.out, kPanel) / kPanel;
  pool_.split(panels, [&](std::int64_t begin, std::int64_t end, int /*member*/) {
    kernel(job, begin, end);
  });
}

/// The job of one group of rows and one head; `partial` and `scratch` are the caller's to set.
AttentionJob CpuBackend::attention_job(std::int64_t index, const Attention& all) const {
  const KvCache& cache = *all.cache;
  const RowGroup& group = groups_[static_cast<std::size_t>(index / cache.heads)];
  const Row& row = rows_[static_cast<std::size_t>(group.first)];
  const std::int64_t head = index % cache.heads;
  const std::int64_t numbers = cpu::page_numbers(cache.head_size);
  const std::int64_t first = (all.layer * cache.heads + head) * numbers;
  return {.qkv = all.qkv.data + group.first * all.qkv.cols + head * cache.head_size,
          .width = all.out.cols,
          .rows = group.count,
          .position = row.position,
          .cells = static_cast<std::byte*>(cache.data.get()) + first * size_of(cache.dtype),
          .page_stride = cache.layers * cache.heads * numbers,
          .pages = table_.pages.data() + row.slot * table_.width,
          .head_size = cache.head_size,
          .scale = all.scale,
          .out = all.out.data + group.first * all.out.cols + head * cache.head_size};
}

void CpuBackend::attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                           Tensor out) {
  const Attention all{qkv, &cache, layer, scale, out};
  const AttentionKernels& kernels =
      cache.dtype == DType::kF32 ? kernels_.attention_f32 : kernels_.attention_f16;
  const auto jobs = static_cast<std::int64_t>(groups_.size()) * cache.heads;
  if (jobs < most_split() && most_ranges_ > 1) return attention_by_ranges(all, kernels);
  const auto each_job = [&](const auto& body) {
    pool_.split(jobs, [&](std::int64_t begin, std::int64_t end, int member) {
      for (std::int64_t i = begin; i < end; ++i) {
        AttentionJob job = attention_job(i, all);
        job.scratch = scratch(member);
        job.partial = job.scratch + cpu::attention_scratch(cache.head_size);
        body(job);
      }
    });
  };
  if (shared_slots_) {  // a group reads what others append
    each_job([&](const AttentionJob& job) { kernels.append(job); });
  }
  each_job([&](const AttentionJob& job) {
    if (!shared_slots_) kernels.append(job);
    for (std::int64_t range = 0; range < cpu::key_ranges(job.position + job.rows - 1); ++range) {
      kernels.attend(job, range);
    }
    kernels_.merge(job);
  });
}

/// With fewer heads than the team has use for: whoever computes the last range of a job merges it.
void CpuBackend::attention_by_ranges(const Attention& all, const AttentionKernels& kernels) {
  const auto jobs = static_cast<std::int64_t>(groups_.size()) * all.cache->heads;
  const std::int64_t floats = cpu::attention_partial(all.cache->context, all.cache->head_size);
  for (std::int64_t i = 0; i < jobs; ++i) kernels.append(attention_job(i, all));
  pool_.split(jobs * most_ranges_, [&](std::int64_t begin, std::int64_t end, int member) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t index = i / most_ranges_;
      AttentionJob job = attention_job(index, all);
      const std::int64_t ranges = cpu::key_ranges(job.position + job.rows - 1);
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

void CpuBackend::select(Tensor x, Tensor out) {
  for (std::int64_t i = 0; i < out.rows; ++i) {
    std::memcpy(out.data + i * out.cols, x.data + wanted_[static_cast<std::size_t>(i)] * x.cols,
                static_cast<std::size_t>(x.cols) * sizeof(float));
  }
}

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) {
  return make_cpu_backend(threads, cpu::choose_kernels());
}

std::unique_ptr<Backend> make_cpu_backend(int threads, const cpu::Kernels& kernels,
                                          std::int64_t least_screened) {
  return std::make_unique<CpuBackend>(threads, kernels, least_screened);
}

}  // namespace aira
