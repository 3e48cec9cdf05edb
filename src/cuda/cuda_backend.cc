// Which kernel, with which arguments, for each operation. The kernels themselves are in kernels/.
#include "cuda/cuda_backend.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

#include "aira/error.h"
#include "cuda/device.h"
#include "cuda/device_memory.h"
#include "cuda/drawing.h"
#include "cuda/gemm.h"
#include "cuda/kv_cache.h"
#include "cuda/step.h"
#include "cuda/weights.h"
#include "kernels/kernels.h"

namespace aira {
namespace {

using namespace cuda;  // NOLINT(google-build-using-namespace): this file is where both meet

/// Rows up to which reading the weights is the cost, so that our own kernel is used; beyond it
/// cuBLAS. A first choice: not yet measured on a GPU.
constexpr std::int64_t kSkinnyRows = 8;

class CudaBackend final : public Backend {
 public:
  CudaBackend()
      : uploader_(device_.stream()),
        gemm_(device_.stream()),
        step_(device_.stream()),
        drawing_(device_.stream()) {}

  std::string description() const override { return device_.description(); }
  Buffer alloc(std::int64_t bytes) override {
    step_.forget();
    return allocate_device(bytes);
  }
  Matrix load_matrix(const HostMatrix& source, DType dtype) override {
    step_.forget();
    return upload_matrix(uploader_, source, dtype);
  }
  Vector load_vector(const std::shared_ptr<const std::byte>& source, DType dtype,
                     std::int64_t size) override {
    step_.forget();
    return upload_vector(uploader_, source, dtype, size);
  }
  std::int64_t padded_rows(std::int64_t rows) const override { return Step::bucket(rows); }
  KvCache make_cache(KvCache shape) override;
  void copy_pages(const KvCache& cache, std::span<const PageCopy> copies) override;
  void write(const Tensor& tensor, std::span<const float> source) override;
  std::span<const float> read(const Tensor& tensor) override;

  void begin(std::span<const Row> rows, std::span<const std::int32_t> wanted,
             const PageTable& table) override;
  void end() override;
  void embed(const Matrix& tokens, const Vector& positions, Tensor out) override;
  void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                 Tensor out) override;
  void linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) override;
  void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                 Tensor out) override;
  void select(Tensor x, Tensor out) override;

  bool draws(const SamplingOptions& options, std::int64_t vocab) const override {
    return Drawing::knows(options, vocab);
  }
  void draw(Tensor logits, std::span<const Draw> draws) override;
  std::span<const std::int32_t> drawn() override { return drawing_.collect(); }

 private:
  /// Kernels of a step may start before the one in front of them has ended (they wait where they
  /// must); what stands alone may not.
  Stream stream() const { return {device_.stream(), in_step_}; }
  /// Rows to compute for a tensor of a step: fillers are computed too.
  std::int64_t rows_of(const Tensor& tensor) const {
    if (!in_step_) return tensor.rows;
    return tensor.rows == step_wanted_ && tensor.rows != step_rows_ ? step_.wanted()
                                                                    : padded(tensor);
  }
  std::int64_t padded(const Tensor& tensor) const {
    return tensor.rows == step_rows_ ? step_.rows() : tensor.rows;
  }
  void run_norm();
  void product(const LinearJob& job);

  Device device_;
  Uploader uploader_;
  Gemm gemm_;
  Step step_;
  Drawing drawing_;
  Scratch halves_, products_, partial_, arrived_;
  Buffer host_;  // what read() returns
  std::int64_t host_bytes_ = 0;
  LayerNormJob norm_;  // asked for, not yet launched: the next linear may take it along
  bool norm_waits_ = false;
  bool in_step_ = false;
  bool replays_ = false;
  std::int32_t* tokens_ = nullptr;  // of the step's cache
  std::int64_t step_rows_ = 0;
  std::int64_t step_wanted_ = 0;
};

KvCache CudaBackend::make_cache(KvCache shape) {
  step_.forget();
  return cuda::make_cache(shape);
}

void CudaBackend::copy_pages(const KvCache& cache, std::span<const PageCopy> copies) {
  cuda::copy_pages(cache, copies, stream());
}

void CudaBackend::write(const Tensor& tensor, std::span<const float> source) {
  run_norm();
  check(cudaMemcpyAsync(tensor.data, source.data(), source.size_bytes(), cudaMemcpyHostToDevice,
                        device_.stream()),
        "copying to the device");
  check(cudaStreamSynchronize(device_.stream()), "copying to the device");
}

std::span<const float> CudaBackend::read(const Tensor& tensor) {
  run_norm();
  const std::int64_t count = tensor.rows * tensor.cols;
  const std::int64_t bytes = count * size_of(DType::kF32);
  if (bytes > host_bytes_) {
    host_ = allocate_pinned(bytes);
    host_bytes_ = bytes;
  }
  if (bytes > 0) {
    check(cudaMemcpyAsync(host_.get(), tensor.data, static_cast<std::size_t>(bytes),
                          cudaMemcpyDeviceToHost, device_.stream()),
          "copying from the device");
  }
  check(cudaStreamSynchronize(device_.stream()), "computing a step");
  return {static_cast<const float*>(host_.get()), static_cast<std::size_t>(count)};
}

void CudaBackend::begin(std::span<const Row> rows, std::span<const std::int32_t> wanted,
                        const PageTable& table) {
  norm_waits_ = false;
  replays_ = false;
  step_.begin(rows, wanted, table);
  step_rows_ = static_cast<std::int64_t>(rows.size());
  step_wanted_ = static_cast<std::int64_t>(wanted.size());
  in_step_ = true;
}

void CudaBackend::end() {
  if (!replays_) run_norm();
  step_.end();
  in_step_ = false;
  replays_ = false;
}

void CudaBackend::embed(const Matrix& tokens, const Vector& positions, Tensor out) {
  replays_ = step_.replays(out.data);
  if (replays_) return;
  embed_rows({.rows = step_.arrays(),
              .count = rows_of(out),
              .tokens = tokens.data.get(),
              .dtype = tokens.dtype,
              .stride = matrix_stride(tokens.in, tokens.dtype),
              .positions = positions.data.get(),
              .width = out.cols,
              .out = out.data},
             stream());
}

void CudaBackend::layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                            Tensor out) {
  if (replays_) return;
  run_norm();
  norm_ = {.x = x.data,
           .rows = rows_of(x),
           .width = x.cols,
           .norm = {.gain = gain.data.get(), .bias = bias.data.get(), .epsilon = epsilon},
           .out = out.data};
  norm_waits_ = true;
}

/// Launches a LayerNorm that no linear has taken along.
void CudaBackend::run_norm() {
  if (!norm_waits_) return;
  norm_waits_ = false;
  cuda::layernorm(norm_, stream());
}

void CudaBackend::linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) {
  if (replays_) return;
  LinearJob job{.x = x.data,
                .rows = rows_of(x),
                .weights = weights.data.get(),
                .dtype = weights.dtype,
                .in = weights.in,
                .out = weights.out,
                .stride = matrix_stride(weights.in, weights.dtype),
                .bias = epilogue.bias == nullptr ? nullptr : epilogue.bias->data.get(),
                .activation = epilogue.activation,
                .residual = epilogue.residual.data,
                .norm = {},
                .y = out.data};
  if (job.rows > kSkinnyRows || job.stride > kSkinnyInputs) {
    run_norm();
    product(job);
    return;
  }
  if (norm_waits_ && norm_.out == x.data) {
    job.x = norm_.x;
    job.norm = norm_.norm;
    norm_waits_ = false;
  }
  run_norm();
  linear_skinny(job, stream());
}

/// The same by cuBLAS, with a pass before it and one behind it.
void CudaBackend::product(const LinearJob& job) {
  GemmJob gemm{.x = job.x,
               .rows = job.rows,
               .x_stride = job.in,
               .weights = job.weights,
               .dtype = job.dtype,
               .in = job.in,
               .out = job.out,
               .stride = job.stride,
               .product = products_.get<float>(job.rows * job.out)};
  if (job.dtype == DType::kF16) {
    auto* halves = halves_.get<std::uint16_t>(job.rows * job.stride);
    rows_to_half(job.x, job.rows, job.in, job.stride, halves, stream());
    gemm.x = halves;
    gemm.in = job.stride;
    gemm.x_stride = job.stride;
  }
  gemm_.run(gemm);
  // cuBLAS's kernels do not let the next one start early, so there is nothing to wait for.
  linear_epilogue(job, gemm.product, {device_.stream(), false});
}

void CudaBackend::attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                            Tensor out) {
  tokens_ = tokens_of(cache);
  if (replays_) return;
  run_norm();
  const std::int64_t bytes = keys_bytes(cache);
  auto* keys = static_cast<std::byte*>(cache.data.get()) + 2 * layer * bytes;
  AttentionJob job{.qkv = qkv.data,
                   .count = rows_of(qkv),
                   .rows = step_.arrays(),
                   .groups = step_.groups(),
                   .group_count = step_.group_count(),
                   .pages = step_.pages(),
                   .keys = keys,
                   .values = keys + bytes,
                   .tokens = layer == 0 ? tokens_ : nullptr,
                   .dtype = cache.dtype,
                   .heads = cache.heads,
                   .head_size = cache.head_size,
                   .context = cache.context,
                   .scale = scale,
                   .out = out.data};
  const bool prefill = !step_.decodes() && cache.dtype == DType::kF16;
  if (!prefill) {
    job.partial = partial_.get<float>(
        attention_partial_floats(job.count, cache.heads, cache.head_size, cache.context));
    job.arrived = arrived_.get<unsigned>(job.count * cache.heads, true);
  }
  if (step_.decodes()) {
    attention_decode(job, true, stream());
    return;
  }
  attention_append(job, stream());
  if (prefill) {
    attention_prefill(job, stream());
  } else {
    attention_decode(job, false, stream());
  }
}

void CudaBackend::select(Tensor x, Tensor out) {
  if (replays_) return;
  run_norm();
  select_rows({.x = x.data,
               .wanted = step_.wanted_array(),
               .count = step_.wanted(),
               .width = x.cols,
               .out = out.data},
              stream());
}

void CudaBackend::draw(Tensor logits, std::span<const Draw> draws) {
  assert(logits.rows == step_wanted_ && static_cast<std::int64_t>(draws.size()) == step_wanted_);
  drawing_.start({.logits = logits.data,
                  .vocab = logits.cols,
                  .rows = step_.arrays(),
                  .wanted = step_.wanted_array(),
                  .pages = step_.pages(),
                  .tokens = tokens_,
                  .last = step_.drawn()},
                 draws);
}

}  // namespace

std::unique_ptr<Backend> make_cuda_backend() { return std::make_unique<CudaBackend>(); }

}  // namespace aira
