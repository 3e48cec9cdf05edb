// Converts weights from a checkpoint's layout to that of kernels.h, a thread per number of the
// source, or per group for int8. Kept plain: the copy over the bus takes longer.
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "kernels/storage.h"

namespace aira::cuda {
namespace {

constexpr unsigned kThreads = 256;

__device__ __forceinline__ float stored_number(const void* source, DType stored, std::int64_t i) {
  if (stored == DType::kF32) return static_cast<const float*>(source)[i];
  const unsigned short bits = static_cast<const unsigned short*>(source)[i];
  return stored == DType::kF16 ? __half2float(__ushort_as_half(bits)) : bfloat_to_float(bits);
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

/// Each operation is the one of src/cpu/quantize_impl.h, so that the weights have the same bits.
__global__ void __launch_bounds__(kThreads) quantize_thread_per_group(ConvertJob job) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t outputs = job.out_major ? job.rows : job.cols;
  const std::int64_t inputs = job.out_major ? job.cols : job.rows;
  const std::int64_t output = i % outputs;
  const std::int64_t input = i / outputs * kScaleInputs;
  if (input >= inputs) return;
  const int count = static_cast<int>(min(inputs - input, kScaleInputs));
  const auto number = [&](int k) {
    return stored_number(
        job.source, job.stored,
        job.out_major ? output * job.cols + input + k : (input + k) * job.cols + output);
  };
  unsigned bits = 0;  // of the largest magnitude; NaN is larger than infinity
  for (int k = 0; k < count; ++k) bits = max(bits, __float_as_uint(number(k)) & 0x7fffffffU);
  constexpr float kTiny = 0x1p-100F;
  constexpr unsigned kInfinity = 0x7f800000U;
  const bool nan = bits > kInfinity;
  const float largest = __uint_as_float(bits);
  bits = __float_as_uint(largest < kTiny ? 0.0F : largest / 127.0F);
  bits = (nan ? bits : bits + 0xffffU) & 0xffff0000U;
  const float inverse = bits == 0 ? 0.0F : 1.0F / __uint_as_float(bits);
  const std::int64_t to_output = output + (job.out_major ? job.first_row : 0);
  const std::int64_t to_input = input + (job.out_major ? 0 : job.first_row);
  auto* const to = static_cast<std::uint8_t*>(job.to) + to_output * job.stride + to_input;
  auto* const scales = const_cast<std::uint16_t*>(scales_of(job.to, job.out, job.stride));
  scales[to_input / kScaleInputs * scale_pitch(job.out) + to_output] =
      static_cast<std::uint16_t>(bits >> 16U);
  for (int k = 0; k < count; ++k) {
    to[k] = static_cast<std::uint8_t>(__float2int_rn(number(k) * inverse) + 128);
  }
}

}  // namespace

void convert(const ConvertJob& job, Stream stream) {
  if (job.dtype == DType::kI8) {
    const std::int64_t groups =
        job.out_major ? job.rows * scale_groups(job.cols) : scale_groups(job.rows) * job.cols;
    launch({.grid = static_cast<unsigned>((groups + kThreads - 1) / kThreads),
            .block = kThreads,
            .stream = stream,
            .name = "quantize_thread_per_group"},
           quantize_thread_per_group, job);
    return;
  }
  launch({.grid = static_cast<unsigned>((job.rows * job.cols + kThreads - 1) / kThreads),
          .block = kThreads,
          .stream = stream,
          .name = "convert_thread_per_number"},
         convert_thread_per_number, job);
}

}  // namespace aira::cuda
