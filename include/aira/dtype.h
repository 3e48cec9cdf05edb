// How numbers are stored.
#pragma once

#include <cstdint>

namespace aira {

/// How numbers are stored. Activations and accumulators are always kF32. kI8 are whole numbers with
/// a scale for each small group of them; only backends store that, no file does.
enum class DType : std::uint8_t { kF32, kF16, kBF16, kI8 };

/// Bytes of one number.
constexpr std::int64_t size_of(DType dtype) {
  return dtype == DType::kF32 ? 4 : dtype == DType::kI8 ? 1 : 2;
}
constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
    case DType::kI8:
      return "int8";
  }
  return "?";
}

}  // namespace aira
