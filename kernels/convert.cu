// Converts weights from a checkpoint's layout to that of kernels.h, a thread per number of the
// source. Kept plain: the copy over the bus takes longer.
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 256;

__device__ __forceinline__ float stored_number(const void* source, DType stored, std::int64_t i) {
  if (stored == DType::kF32) return static_cast<const float*>(source)[i];
  const unsigned short bits = static_cast<const unsigned short*>(source)[i];
  return stored == DType::kF16 ? __half2float(__ushort_as_half(bits))
                               : __uint_as_float(static_cast<unsigned>(bits) << 16U);  // bfloat16
}

__global__ void __launch_bounds__(kThreads) convert_thread_per_number(ConvertJob job) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= job.rows * job.cols) return;
  const std::int64_t row = job.first_row + i / job.cols;
  const std::int64_t col = i % job.cols;
  const std::int64_t to = job.out_major ? row * job.stride + col : col * job.stride + row;
  const float number = stored_number(job.source, job.stored, i);
  if (job.dtype == DType::kF32) {
    static_cast<float*>(job.to)[to] = number;
    return;
  }
  const __half rounded = __float2half_rn(number);
  static_cast<__half*>(job.to)[to] = rounded;
  const float back = __half2float(rounded);
  if (fabsf(back) > 65504.0F && back != number) *job.overflows = 1;
}

}  // namespace

void convert(const ConvertJob& job, Stream stream) {
  launch({.grid = static_cast<unsigned>((job.rows * job.cols + kThreads - 1) / kThreads),
          .block = kThreads,
          .stream = stream,
          .name = "convert_thread_per_number"},
         convert_thread_per_number, job);
}

}  // namespace aira::cuda
