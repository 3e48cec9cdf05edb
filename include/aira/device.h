// Where a model runs, and how numbers are stored.
#pragma once

#include <cstdint>

namespace aira {

enum class Device : std::uint8_t {
  kAuto,  // a GPU if it can be used, else the CPU
  kCpu,
  kCuda,
};

/// How numbers are stored. Activations and accumulators are always kF32. kI8 are whole numbers with
/// a scale for each small group of them; only backends store that, no file does.
enum class DType : std::uint8_t { kF32, kF16, kBF16, kI8 };

/// Bytes of one number.
constexpr std::int64_t size_of(DType dtype) {
  return dtype == DType::kF32 ? 4 : dtype == DType::kI8 ? 1 : 2;
}
constexpr const char* name_of(DType dtype) {
  constexpr const char* kNames[] = {"f32", "f16", "bf16", "int8"};
  return kNames[static_cast<int>(dtype)];
}

}  // namespace aira
