// Where a model runs.
#pragma once

#include <cstdint>

namespace aira {

enum class Device : std::uint8_t {
  kAuto,  // a GPU if it can be used, else the CPU
  kCpu,
  kCuda,
};

}  // namespace aira
