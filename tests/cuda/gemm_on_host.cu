// cuda::Gemm where there is no cuBLAS: a thread per output of the product, as plain as it can be.
// It is launched like any kernel, so that it is recorded, ordered and checked for races like them.
#include "cuda/gemm.h"
#include "kernels/device.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 64;

template <typename Number>
__global__ void gemm_thread_per_output(GemmJob job) {
  const std::int64_t o = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const auto t = static_cast<std::int64_t>(blockIdx.y);
  if (o >= job.out) return;
  const Number* x = static_cast<const Number*>(job.x) + t * job.x_stride;
  const Number* weights = static_cast<const Number*>(job.weights) + o * job.stride;
  float sum = 0;
  for (std::int64_t k = 0; k < job.in; ++k) sum += to_float(x[k]) * to_float(weights[k]);
  job.product[t * job.out + o] = sum;
}

}  // namespace

struct Gemm::Library {};

Gemm::Gemm(cudaStream_t stream) : stream_(stream) {}
Gemm::~Gemm() = default;

void Gemm::prepare() {
  if (!library_) library_ = std::make_unique<Library>();
}

void Gemm::run(const GemmJob& job) {
  if (!library_) throw Error("Gemm::run before Gemm::prepare.");
  const Launch how = {.grid = {static_cast<unsigned>((job.out + kThreads - 1) / kThreads),
                               static_cast<unsigned>(job.rows)},
                      .block = kThreads,
                      .stream = {stream_},
                      .name = "gemm_thread_per_output"};
  if (job.dtype == DType::kF32) {
    launch(how, gemm_thread_per_output<float>, job);
  } else {
    launch(how, gemm_thread_per_output<__half>, job);
  }
}

}  // namespace aira::cuda
