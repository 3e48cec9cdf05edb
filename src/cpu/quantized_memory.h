// Where a linear map's inputs lie in int8.
#pragma once

#include <cstdint>

#include "cpu/kernels.h"
#include "cpu/memory.h"

namespace aira::cpu {

/// Grows with the first steps only.
class QuantizedMemory {
 public:
  /// Room for `rows` rows of `in` inputs, until the next call.
  QuantizedRows rows(std::int64_t rows, std::int64_t in) {
    const std::int64_t groups = rows * groups_of(in);
    if (groups > groups_) {
      memory_ = allocate(groups * kQuantizedGroupBytes);
      groups_ = groups;
    }
    auto* values = static_cast<std::int8_t*>(memory_.get());
    auto* scales = reinterpret_cast<float*>(values + groups * kGroup);
    return {values, scales, reinterpret_cast<std::int32_t*>(scales + groups)};
  }

 private:
  Buffer memory_;
  std::int64_t groups_ = 0;
};

}  // namespace aira::cpu
