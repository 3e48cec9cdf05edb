// The backends that a test executable runs its cases on, made anew for each test.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "model/backend.h"

namespace aira {

struct TestBackend {
  std::string name;  // of letters, digits and _
  std::function<std::unique_ptr<Backend>(ThreadPool& pool)> make;
  /// The number of threads changes how it works.
  bool threads = true;
  /// With f32 weights too, results do not depend on what is computed beside them.
  bool same_bits_in_f32 = true;
  /// A row's result is the same whether the row before it is in the same step or in an earlier one.
  bool same_bits_alone = true;
  /// With f16 weights, inputs are rounded to f16 too; with int8, to f16 instead of int8.
  bool rounds_inputs = false;
  /// Weights may be kept in int8.
  bool int8 = false;
  /// Variables that, set to "off" one after the other, leave linear maps to another kernel.
  std::vector<const char*> linear_kernels = {};
  /// Keys and values are kept in f16 when the cache says so.
  bool half_cache = false;

  /// Slow backends share the long cases: this one takes those whose number is share modulo shares.
  int share = 0;
  int shares = 1;
  bool takes(std::size_t number) const {
    return number % static_cast<std::size_t>(shares) == static_cast<std::size_t>(share);
  }

  friend void PrintTo(const TestBackend& backend, std::ostream* out) { *out << backend.name; }
};

/// The types of weights that this one takes: slow backends share them.
inline std::vector<DType> types_of(const TestBackend& backend) {
  std::vector<DType> types;
  std::size_t number = 0;
  for (const DType type : {DType::kF16, DType::kF32, DType::kI8}) {
    if (backend.takes(number++)) types.push_back(type);
  }
  return types;
}

/// Defined by each executable: backends_cpu.cpp, cuda/backends_cuda.cpp.
const std::vector<TestBackend>& test_backends();

}  // namespace aira
