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
#include "cpu/unpack.h"

namespace aira {
namespace {

using cpu::AttentionJob;
using cpu::Kernels;
using cpu::kKeyBlock;
using cpu::kPanel;
using cpu::kQueryRows;
using cpu::LinearJob;
using cpu::PackJob;
using cpu::round_up;

/// Rows from which row-wise operations are worth waking the team.
constexpr std::int64_t kParallelRows = 8;

/// Consecutive rows of a step with consecutive positions of one slot, at most kQueryRows.
struct RowGroup {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// Floats of one head's keys and of its values in one slot of the cache.
std::int64_t key_floats(const KvCache& cache) {
  return round_up(cache.context, kKeyBlock) * cache.head_size;
}
std::int64_t value_floats(const KvCache& cache) {
  return cache.context * round_up(cache.head_size, kKeyBlock);
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, const Kernels& kernels)
      : pool_(threads), kernels_(kernels), scratch_(static_cast<std::size_t>(pool_.size())) {}

  std::string description() const override {
    return "cpu (" + std::string(kernels_.name) + ", " + std::to_string(pool_.size()) +
           (pool_.size() == 1 ? " thread)" : " threads)");
  }

  Buffer alloc(std::int64_t bytes) override { return cpu::allocate(bytes); }
  Matrix load_matrix(const HostMatrix& source, DType dtype) override;
  Vector load_vector(const std::shared_ptr<const std::byte>& source, DType dtype,
                     std::int64_t size) override;
  KvCache make_cache(KvCache shape) override;
  void write(const Tensor& tensor, std::span<const float> source) override {
    assert(static_cast<std::int64_t>(source.size()) == tensor.rows * tensor.cols);
    std::copy(source.begin(), source.end(), tensor.data);
  }
  std::span<const float> read(const Tensor& tensor) override {
    return {tensor.data, static_cast<std::size_t>(tensor.rows * tensor.cols)};
  }

  void begin(std::span<const Row> rows, std::span<const std::int32_t> wanted) override;
  void end() override {}
  void embed(const Matrix& tokens, const Vector& positions, Tensor out) override;
  void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                 Tensor out) override;
  void linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) override;
  void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                 Tensor out) override;
  void select(Tensor x, Tensor out) override;

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
  /// Scratch memory for each member of the team; grows while loading only.
  void reserve_scratch(std::int64_t floats);
  /// Memory for a linear map's inputs in int8; grows with the first steps only.
  cpu::QuantizedRows quantized_rows(std::int64_t rows, std::int64_t in);
  float* scratch(int member) {
    return static_cast<float*>(scratch_[static_cast<std::size_t>(member)].get());
  }

  ThreadPool pool_;
  const Kernels& kernels_;
  cpu::HugePageArena weights_;
  std::vector<Buffer> scratch_;
  std::int64_t scratch_floats_ = 0;
  Buffer quantized_;
  std::int64_t quantized_groups_ = 0;
  std::span<const Row> rows_;
  std::span<const std::int32_t> wanted_;
  std::vector<RowGroup> groups_;
  bool shared_slots_ = false;  // some slot has rows in more than one group
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
  const std::int64_t head = key_floats(shape) + value_floats(shape);
  shape.data =
      cpu::allocate(shape.layers * shape.slots * shape.heads * head * size_of(DType::kF32));
  reserve_scratch(cpu::attention_scratch(shape.context, shape.head_size));
  return shape;
}

void CpuBackend::begin(std::span<const Row> rows, std::span<const std::int32_t> wanted) {
  rows_ = rows;
  wanted_ = wanted;
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

void CpuBackend::attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                           Tensor out) {
  const std::int64_t heads = cache.heads;
  const auto jobs = static_cast<std::int64_t>(groups_.size()) * heads;
  const auto make_job = [&](std::int64_t index, int member) {
    const RowGroup& group = groups_[static_cast<std::size_t>(index / heads)];
    const Row& row = rows_[static_cast<std::size_t>(group.first)];
    const std::int64_t head = index % heads;
    const std::int64_t cell = (layer * cache.slots + row.slot) * heads + head;
    float* keys =
        static_cast<float*>(cache.data.get()) + cell * (key_floats(cache) + value_floats(cache));
    return AttentionJob{.qkv = qkv.data + group.first * qkv.cols + head * cache.head_size,
                        .width = out.cols,
                        .rows = group.count,
                        .position = row.position,
                        .keys = keys,
                        .values = keys + key_floats(cache),
                        .head_size = cache.head_size,
                        .scale = scale,
                        .out = out.data + group.first * out.cols + head * cache.head_size,
                        .scratch = scratch(member)};
  };
  const auto each_job = [&](const auto& body) {
    pool_.split(jobs, [&](std::int64_t begin, std::int64_t end, int member) {
      for (std::int64_t i = begin; i < end; ++i) body(make_job(i, member));
    });
  };
  if (shared_slots_) {  // a group reads what others append
    each_job([&](const AttentionJob& job) { kernels_.append(job); });
    each_job([&](const AttentionJob& job) { kernels_.attend(job); });
  } else {
    each_job([&](const AttentionJob& job) {
      kernels_.append(job);
      kernels_.attend(job);
    });
  }
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

std::unique_ptr<Backend> make_cpu_backend(int threads, const cpu::Kernels& kernels) {
  return std::make_unique<CpuBackend>(threads, kernels);
}

}  // namespace aira
