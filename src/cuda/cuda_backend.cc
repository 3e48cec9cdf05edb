// Chooses the kernel for each operation and fills in its arguments.
#include "cuda/cuda_backend.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/catalogue.h"
#include "cuda/device.h"
#include "cuda/drawing.h"
#include "cuda/gemm.h"
#include "cuda/kv_cache.h"
#include "cuda/step.h"
#include "cuda/weights.h"
#include "kernels/kernels.h"

namespace aira {
namespace {

using namespace cuda;  // NOLINT(google-build-using-namespace): this file is where both meet

/// Up to this number of rows linear_few is used, above it linear_tile or linear_wgmma; the results
/// are the same. Fewer for a map with so many outputs, the vocabulary (measured on an H100).
constexpr std::int64_t few_rows(std::int64_t outputs) { return outputs > 16384 ? 8 : 64; }
constexpr int kHopper = 90;  // the one compute capability that has linear_wgmma's instructions

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::unique_ptr<cuda::Device> device, const Switches& switches)
      : Backend(device->description(), device->bus_id()),
        device_(std::move(device)),
        few_(switches.few),
        linear_many_(switches.wgmma && device_->capability() == kHopper ? linear_wgmma
                                                                        : linear_tile),
        loader_(device_->stream()),
        step_(device_->stream(), switches),
        drawing_(device_->stream(), step_) {}

  Buffer alloc(std::int64_t bytes, const void* contents) override;
  Matrix load_matrix(const HostTensor& source, DType dtype) override {
    step_.forget();
    if (dtype == DType::kF32 && !gemm_) gemm_.emplace(device_->stream());
    return loader_.matrix(source, dtype);
  }
  Vector load_vector(const HostTensor& source) override {
    step_.forget();
    return loader_.vector(source);
  }
  StepRows reserve(const StepLimits& limits) override;
  std::int64_t step_rows() const override { return 4096; }
  KvCache make_cache(KvCache shape) override {
    step_.forget();
    return cuda::make_cache(std::move(shape));
  }
  void copy_pages(const KvCache& cache, std::span<const PageCopy> copies) override {
    step_.abandon();
    cuda::copy_pages(cache, copies, stream());
  }

  void begin(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
             const PageTable& table) override {
    norm_waits_ = false;
    step_.begin(rows, output_rows, table, drawing_.take_draws(), drawing_.flight());
  }
  void end() override {
    if (!step_.replaying()) run_norm();
    step_.end();
    drawing_.started();
  }
  std::span<const float> read(const Tensor& tensor) override;
  void embed(const Matrix& tokens, const Vector& positions, Tensor out) override;
  void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon, Tensor out,
                 RowSet rows) override;
  void linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) override;
  void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                 Tensor out) override;
  DeviceSampler* device_sampler() override { return &drawing_; }

 private:
  Stream stream() const { return step_.stream(); }
  void reserve_host(std::int64_t bytes);
  void run_norm();

  std::unique_ptr<cuda::Device> device_;
  bool few_;
  void (*linear_many_)(const LinearJob& job, Stream stream);
  WeightLoader loader_;
  std::optional<Gemm> gemm_;  // if any matrix is in f32
  Step step_;
  Drawing drawing_;
  Scratch<std::uint16_t> halves_;
  Scratch<float> products_, partial_;
  Scratch<unsigned> arrived_;
  Buffer host_;  // what read() returns
  std::int64_t host_bytes_ = 0;
  LayerNormJob norm_;  // pending: the next linear may include it
  bool norm_waits_ = false;
};

Buffer CudaBackend::alloc(std::int64_t bytes, const void* contents) {
  step_.forget();
  Buffer memory = allocate_device(bytes);
  if (contents != nullptr) {
    check(cudaMemcpyAsync(memory.get(), contents, static_cast<std::size_t>(bytes),
                          cudaMemcpyHostToDevice, device_->stream()),
          "copying to the device");
    check(cudaStreamSynchronize(device_->stream()), "copying to the device");
  }
  return memory;
}

StepRows CudaBackend::reserve(const StepLimits& limits) {
  step_.forget();  // recordings hold the memory that is replaced
  check(cudaStreamSynchronize(device_->stream()), "finishing a step");
  step_.reserve(limits);
  const std::int64_t rows = Step::bucket(limits.rows);
  const std::int64_t outputs = Step::bucket(limits.output_rows);
  const std::int64_t most = std::max(rows, outputs);
  // The stride of int8 weights is the longest.
  halves_.reserve(halves_size(most, matrix_stride(limits.inputs, DType::kI8)));
  if (gemm_) products_.reserve(std::max(rows * limits.outputs, outputs * limits.vocab));
  partial_.reserve(attention_partial_floats(rows, limits.heads, limits.head_size, limits.context));
  arrived_.reserve(rows * limits.heads, true);
  drawing_.reserve(outputs, limits.vocab);
  reserve_host(limits.output_rows * limits.vocab * size_of(DType::kF32));
  return {rows, outputs};
}

void CudaBackend::reserve_host(std::int64_t bytes) {
  if (bytes <= host_bytes_) return;
  host_ = allocate_pinned(bytes);
  host_bytes_ = bytes;
}

std::span<const float> CudaBackend::read(const Tensor& tensor) {
  run_norm();
  const std::int64_t count = tensor.rows * tensor.cols;
  const std::int64_t bytes = count * size_of(DType::kF32);
  reserve_host(bytes);  // logits have room; tests read other tensors
  if (bytes > 0) {
    check(cudaMemcpyAsync(host_.get(), tensor.data, static_cast<std::size_t>(bytes),
                          cudaMemcpyDeviceToHost, device_->stream()),
          "copying from the device");
  }
  check(cudaStreamSynchronize(device_->stream()), "computing a step");
  return {static_cast<const float*>(host_.get()), static_cast<std::size_t>(count)};
}

void CudaBackend::embed(const Matrix& tokens, const Vector& positions, Tensor out) {
  if (step_.replays(out.data)) return;
  embed_rows({.rows = step_.arrays(),
              .count = step_.padded(out.rows),
              .tokens = tokens.data.get(),
              .dtype = tokens.dtype,
              .vocab = tokens.out,
              .stride = matrix_stride(tokens.in, tokens.dtype),
              .positions = positions.data.get(),
              .width = out.cols,
              .out = out.data},
             stream());
}

void CudaBackend::layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                            Tensor out, RowSet rows) {
  if (step_.replaying() || out.rows == 0) return;
  run_norm();
  norm_ = {.x = x.data,
           .rows = step_.padded(out.rows),
           .width = x.cols,
           .norm = {.gain = gain.data.get(), .bias = bias.data.get(), .epsilon = epsilon},
           .out = out.data,
           .from = rows == RowSet::kOutput ? step_.output_rows() : nullptr};
  norm_waits_ = true;
}

/// Launches a pending LayerNorm.
void CudaBackend::run_norm() {
  if (!norm_waits_) return;
  norm_waits_ = false;
  cuda::layernorm(norm_, stream());
}

void CudaBackend::linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) {
  if (step_.replaying() || x.rows == 0) return;
  LinearJob job{.x = x.data,
                .rows = step_.padded(x.rows),
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
  const bool own = job.dtype != DType::kF32;
  if (own && norm_waits_ && norm_.out == x.data && linear_can_normalise(job.in)) {
    job.x = norm_.x;
    job.norm = norm_.norm;
    job.from = norm_.from;
    norm_waits_ = false;
  }
  run_norm();
  if (!own) {
    float* const product = products_.get(job.rows * job.out);
    gemm_->run(job, product);
    // cuBLAS's kernels do not trigger an early start.
    linear_epilogue(job, product, {device_->stream(), false});
  } else if (few_ && job.rows <= few_rows(job.out)) {
    linear_few(job, stream());
  } else {
    job.halves = halves_.get(halves_size(job.rows, job.stride));
    linear_many_(job, stream());
  }
}

void CudaBackend::attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                            Tensor out) {
  drawing_.use_tokens(tokens_of(cache));
  if (step_.replaying()) return;
  run_norm();
  const std::int64_t bytes = keys_bytes(cache);
  auto* keys = static_cast<std::byte*>(cache.data.get()) + 2 * layer * bytes;
  AttentionJob job{.qkv = qkv.data,
                   .count = step_.padded(qkv.rows),
                   .rows = step_.arrays(),
                   .only = nullptr,
                   .groups = step_.groups(),
                   .group_count = step_.group_count(),
                   .pages = step_.pages(),
                   .keys = keys,
                   .values = keys + bytes,
                   .tokens = layer == 0 ? tokens_of(cache) : nullptr,
                   .dtype = cache.dtype,
                   .heads = cache.heads,
                   .head_size = cache.head_size,
                   .positions = std::min(cache.context, step_.positions()),
                   .scale = scale,
                   .out = out.data};
  job.partial = partial_.get(
      attention_partial_floats(job.count, cache.heads, cache.head_size, job.positions));
  job.arrived = arrived_.get(job.count * cache.heads);
  if (step_.decodes()) {
    attention_decode(job, true, stream());
    return;
  }
  attention_append(job, stream());
  if (cache.dtype == DType::kF16) {
    // Which kernel computes a row depends on the row alone.
    attention_prefill(job, stream());
    job.only = step_.singles();
    job.count = step_.single_count();
  }
  if (job.count > 0) attention_decode(job, false, stream());
}

}  // namespace

std::unique_ptr<Backend> make_cuda_backend() {
  return std::make_unique<CudaBackend>(std::make_unique<cuda::Device>(), cuda::read_switches());
}

}  // namespace aira

/// The entry point of libaira_cuda.so, looked up by src/device.
extern "C" __attribute__((visibility("default"))) aira::Backend* aira_make_cuda_backend(
    const char* messages) {
  aira::use_catalogue(messages);
  return aira::make_cuda_backend().release();
}
