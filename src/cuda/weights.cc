#include "cuda/weights.h"

#include <cmath>
#include <cstring>

#include "aira/error.h"
#include "base/half.h"

namespace aira::cuda {
namespace {

/// Number `i` of a stored array, at any alignment.
float number(const std::byte* data, DType dtype, std::int64_t i) {
  if (dtype == DType::kF32) {
    float value = 0;
    std::memcpy(&value, data + i * 4, sizeof value);
    return value;
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, data + i * 2, sizeof bits);
  return dtype == DType::kF16 ? half_to_float(bits) : bfloat_to_float(bits);
}

void put(float value, DType dtype, std::int64_t at, void* out) {
  if (dtype == DType::kF32) {
    static_cast<float*>(out)[at] = value;
    return;
  }
  const std::uint16_t half = float_to_half(value);
  if ((half & 0x7fffU) == 0x7c00U && std::isfinite(value)) {
    throw Error("a weight is too large for half precision (beyond 65504); use --dtype f32.");
  }
  static_cast<std::uint16_t*>(out)[at] = half;
}

}  // namespace

Matrix upload_matrix(Uploader& uploader, const HostTensor& source, DType dtype) {
  if (dtype == DType::kI8) throw Error("int8 weights run on the CPU; use --device cpu.");
  const std::int64_t in = source.in();
  const std::int64_t out = source.out();
  const std::int64_t stride = matrix_stride(in, dtype);
  const std::int64_t row_bytes = stride * size_of(dtype);
  const Buffer memory = allocate_device(out * row_bytes);
  uploader.upload(
      memory.get(), out, row_bytes, [&](void* part, std::int64_t begin, std::int64_t end) {
        std::memset(part, 0, static_cast<std::size_t>((end - begin) * row_bytes));
        // In the order of the source, so that it is read once, front to back.
        const std::int64_t outer = source.out_major ? end - begin : in;
        const std::int64_t inner = source.out_major ? in : end - begin;
        for (std::int64_t a = 0; a < outer; ++a) {
          for (std::int64_t b = 0; b < inner; ++b) {
            const std::int64_t o = source.out_major ? a : b;
            const std::int64_t k = source.out_major ? b : a;
            const std::int64_t from = source.out_major ? (begin + o) * in + k : k * out + begin + o;
            put(number(source.data.get(), source.dtype, from), dtype, o * stride + k, part);
          }
        }
      });
  return {memory, dtype, in, out};
}

Vector upload_vector(Uploader& uploader, const HostTensor& source) {
  const std::int64_t size = source.size();
  const Buffer memory = allocate_device(size * size_of(DType::kF32));
  uploader.upload(memory.get(), size, size_of(DType::kF32),
                  [&](void* part, std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i) {
                      put(number(source.data.get(), source.dtype, i), DType::kF32, i - begin, part);
                    }
                  });
  return {std::shared_ptr<const float>(memory, static_cast<const float*>(memory.get())), size};
}

}  // namespace aira::cuda
