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
/// a scale for each small group of them; only backends store that, no file does. What follows it
/// is in files only.
enum class DType : std::uint8_t { kF32, kF16, kBF16, kI8, kF64, kF8E4M3, kF8E5M2 };

/// Bytes of one number.
constexpr std::int64_t size_of(DType dtype) {
  constexpr std::int64_t kSizes[] = {4, 2, 2, 1, 8, 1, 1};
  return kSizes[static_cast<int>(dtype)];
}
constexpr const char* name_of(DType dtype) {
  constexpr const char* kNames[] = {"f32", "f16", "bf16", "int8", "f64", "f8_e4m3", "f8_e5m2"};
  return kNames[static_cast<int>(dtype)];
}

}  // namespace aira
