#include "model/tensor.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"

namespace aira {
namespace {

template <typename T>
T read_as(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// A sign, four bits of exponent (bias 7), three of mantissa; no infinity.
float e4m3_to_float(unsigned byte) {
  const unsigned exponent = byte >> 3U & 0xFU;
  const unsigned mantissa = byte & 7U;
  float size = std::ldexp(static_cast<float>(mantissa), -9);
  if (exponent > 0)
    size = std::ldexp(static_cast<float>(8 + mantissa), static_cast<int>(exponent) - 10);
  if ((byte & 0x7FU) == 0x7FU) size = std::numeric_limits<float>::quiet_NaN();
  return (byte & 0x80U) != 0 ? -size : size;
}

float to_float(const std::byte* at, DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return half_to_float(read_as<std::uint16_t>(at));
    case DType::kBF16:
      return std::bit_cast<float>(std::uint32_t{read_as<std::uint16_t>(at)} << 16U);
    case DType::kF64:
      return static_cast<float>(read_as<double>(at));
    case DType::kF8E4M3:
      return e4m3_to_float(std::to_integer<unsigned>(*at));
    case DType::kF8E5M2:  // the upper half of an f16
      return half_to_float(static_cast<std::uint16_t>(std::to_integer<unsigned>(*at) << 8U));
    default:
      return read_as<float>(at);
  }
}

}  // namespace

HostTensor as_f32(const HostTensor& source) {
  const auto count = static_cast<std::size_t>(source.size());
  const std::shared_ptr<float[]> copy(new float[count]);
  const auto width = static_cast<std::size_t>(size_of(source.dtype));
  for (std::size_t i = 0; i < count; ++i) {
    copy[i] = to_float(source.data.get() + i * width, source.dtype);
  }
  HostTensor result = source;
  result.data = {copy, reinterpret_cast<const std::byte*>(copy.get())};
  result.bytes = count * sizeof(float);
  result.dtype = DType::kF32;
  return result;
}

}  // namespace aira
