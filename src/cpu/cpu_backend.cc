// How operations are divided among the threads of the pool; what a thread does is in the kernels.
#include "cpu/cpu_backend.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstring>
#include <vector>

#include "aira/error.h"
#include "base/half.h"
#include "base/mapped_file.h"
#include "cpu/attention.h"
#include "cpu/memory.h"

namespace aira::cpu {
namespace {

/// Rows from which row-wise operations are worth waking the pool.
constexpr std::int64_t kParallelRows = 8;
/// Of a checkpoint's matrix, packed at once.
constexpr std::int64_t kPieceBytes = std::int64_t{2} << 20;

/// W[k][column] of a panel, exactly as the kernels see it.
float weight(const std::byte* panel, DType dtype, std::int64_t k, std::int64_t column) {
  const std::int64_t at = k * kPanel + column;
  if (dtype == DType::kF32) return reinterpret_cast<const float*>(panel)[at];
  if (dtype == DType::kF16) return half_to_float(reinterpret_cast<const std::uint16_t*>(panel)[at]);
  const std::byte* group = panel + k / kGroup * kGroupBytes;
  const auto* scales = reinterpret_cast<const std::uint16_t*>(group);
  const auto* values = reinterpret_cast<const std::int8_t*>(group + kPanel * 2);
  const std::int8_t value = values[(k % kGroup / 4 * kPanel + column) * 4 + k % 4];
  return bfloat_to_float(scales[column]) * static_cast<float>(value);  // exact: 8 bits times 7
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(ThreadPool& pool, const Kernels& kernels)
      : Backend("cpu (" + std::string(kernels.name) + ", " + std::to_string(pool.size()) +
                (pool.size() == 1 ? " thread)" : " threads)")),
        pool_(pool),
        kernels_(kernels),
        attention_(pool, kernels) {}

  Buffer alloc(std::int64_t bytes, const void* contents) override {
    Buffer memory = allocate(bytes);
    if (contents != nullptr) std::memcpy(memory.get(), contents, static_cast<std::size_t>(bytes));
    return memory;
  }
  Matrix load_matrix(const HostTensor& source, DType dtype) override;
  Vector load_vector(const HostTensor& source) override;
  const Packing* packing() const override {
    static const Packing kPanels = {"panels " + std::to_string(kPanelLayout), &packed_bytes};
    return &kPanels;
  }
  StepRows reserve(const StepLimits& limits) override;
  KvCache make_cache(KvCache shape) override {
    attention_.reserve(shape);
    shape.data = weights_.allocate(cache_bytes(shape));
    return shape;
  }
  void copy_pages(const KvCache& cache, std::span<const PageCopy> copies) override {
    attention_.copy_pages(cache, copies);
  }
  std::span<const float> read(const Tensor& tensor) override {
    return {tensor.data, static_cast<std::size_t>(tensor.rows * tensor.cols)};
  }

  void begin(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
             const PageTable& table) override {
    rows_ = rows;
    output_rows_ = output_rows;
    attention_.begin(rows, table);
  }
  void end() override {}
  void embed(const Matrix& tokens, const Vector& positions, Tensor out) override;
  void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon, Tensor out,
                 RowSet rows) override;
  void linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) override;
  void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                 Tensor out) override {
    attention_.attend(qkv, cache, layer, scale, out);
  }

 private:
  /// Calls body(row) for each row, on the pool when there are many.
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

  ThreadPool& pool_;
  const Kernels& kernels_;
  Attention attention_;
  HugePageArena weights_;
  Buffer quantized_;  // of the widest linear's inputs
  std::int64_t quantized_groups_ = 0;
  std::span<const Row> rows_;
  std::span<const std::int32_t> output_rows_;
};

StepRows CpuBackend::reserve(const StepLimits& limits) {
  const std::int64_t rows = std::max(limits.rows, limits.output_rows);
  const std::int64_t groups = rows * groups_of(limits.inputs);
  if (groups > quantized_groups_) {
    quantized_ = allocate(groups * kQuantizedGroupBytes);
    quantized_groups_ = groups;
  }
  attention_.reserve_rows(rows);
  return {limits.rows, limits.output_rows};
}

Matrix CpuBackend::load_matrix(const HostTensor& source, DType dtype) {
  assert(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kI8);
  const std::int64_t panels = round_up(source.out(), kPanel) / kPanel;
  const Buffer memory = weights_.allocate(packed_bytes(dtype, source.in(), source.out()));
  PackJob job{.source = source.data.get(),
              .source_dtype = source.dtype,
              .out_major = source.out_major,
              .in = source.in(),
              .out = source.out(),
              .last = source.in(),
              .panels = memory.get(),
              .dtype = dtype};
  std::atomic<bool> fits = true;
  // Some stored rows after the other: of a mapped file, what has been packed need not stay in
  // memory beside its copy.
  const std::int64_t row_bytes = source.shape[1] * size_of(source.dtype);
  const std::int64_t some = round_up(std::max<std::int64_t>(kPieceBytes / row_bytes, 1), kGroup);
  for (std::int64_t row = 0; row < source.shape[0]; row += some) {
    const std::int64_t end = std::min(row + some, source.shape[0]);
    const std::int64_t first_panel = source.out_major ? row / kPanel : 0;
    const std::int64_t end_panel = source.out_major ? round_up(end, kPanel) / kPanel : panels;
    if (!source.out_major) {
      job.first = row;
      job.last = end;
    }
    pool_.split(end_panel - first_panel, [&](std::int64_t begin, std::int64_t stop, int) {
      if (!kernels_.pack(job, first_panel + begin, first_panel + stop)) fits = false;
    });
    give_back({source.data, source.data.get() + row * row_bytes},
              static_cast<std::size_t>((end - row) * row_bytes));
  }
  if (!fits) {
    throw Error("[E512] a weight is too large for half precision (beyond 65504); use --dtype f32.");
  }
  return {memory, dtype, source.in(), source.out()};
}

Vector CpuBackend::load_vector(const HostTensor& source) {
  const std::int64_t size = source.size();
  const Buffer memory = allocate(size * size_of(DType::kF32));
  auto* out = static_cast<float*>(memory.get());
  kernels_.widen(source.data.get(), source.dtype, size, out);
  return {std::shared_ptr<const float>(memory, out), size};
}

void CpuBackend::embed(const Matrix& tokens, const Vector& positions, Tensor out) {
  each_row(out.rows, [&](std::int64_t t) {
    const Row& row = rows_[static_cast<std::size_t>(t)];
    const float* position = positions.data.get() + row.position * tokens.in;
    const std::byte* panel = static_cast<const std::byte*>(tokens.data.get()) +
                             row.token / kPanel * panel_bytes(tokens.dtype, tokens.in);
    for (std::int64_t c = 0; c < out.cols; ++c) {
      out.data[t * out.cols + c] = weight(panel, tokens.dtype, c, row.token % kPanel) + position[c];
    }
  });
}

void CpuBackend::layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                           Tensor out, RowSet rows) {
  each_row(out.rows, [&](std::int64_t t) {
    const std::int64_t from =
        rows == RowSet::kOutput ? output_rows_[static_cast<std::size_t>(t)] : t;
    kernels_.layernorm(x.data + from * x.cols, gain.data.get(), bias.data.get(), epsilon, x.cols,
                       out.data + t * x.cols);
  });
}

void CpuBackend::linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) {
  assert(x.cols == weights.in && out.cols == weights.out && x.rows == out.rows);
  if (x.rows == 0) return;
  const bool int8 = weights.dtype == DType::kI8;
  LinearJob job{.x = x.data,
                .quantized = {},
                .rows = x.rows,
                .panels = weights.data.get(),
                .in = weights.in,
                .out = weights.out,
                .bias = epilogue.bias == nullptr ? nullptr : epilogue.bias->data.get(),
                .activation = epilogue.activation,
                .residual = epilogue.residual.data,
                .y = out.data};
  if (int8) {
    const std::int64_t groups = x.rows * groups_of(x.cols);
    assert(groups <= quantized_groups_);
    job.quantized.values = static_cast<std::int8_t*>(quantized_.get());
    job.quantized.scales = reinterpret_cast<float*>(job.quantized.values + groups * kGroup);
    job.quantized.offsets = reinterpret_cast<std::int32_t*>(job.quantized.scales + groups);
    each_row(x.rows, [&](std::int64_t row) { kernels_.quantize(job, row); });
  }
  const auto kernel = int8                           ? kernels_.linear_i8
                      : weights.dtype == DType::kF32 ? kernels_.linear_f32
                                                     : kernels_.linear_f16;
  const std::int64_t panels = round_up(weights.out, kPanel) / kPanel;
  pool_.split(panels, [&](std::int64_t begin, std::int64_t end, int /*member*/) {
    kernel(job, begin, end);
  });
}

}  // namespace
}  // namespace aira::cpu

namespace aira {

std::unique_ptr<Backend> make_cpu_backend(ThreadPool& pool, const cpu::Kernels& kernels) {
  return std::make_unique<cpu::CpuBackend>(pool, kernels);
}

}  // namespace aira
