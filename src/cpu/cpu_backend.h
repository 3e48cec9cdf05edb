// The Backend over host memory.
#pragma once

#include <memory>

#include "aira/backend.h"
#include "cpu/kernels.h"

namespace aira {

/// A backend with a team of `threads` >= 1 threads and the best kernels this machine can run.
std::unique_ptr<Backend> make_cpu_backend(int threads);
/// Outputs from which a screen (Backend::make_screen) is worth its memory.
constexpr std::int64_t kLeastScreened = 16384;
/// The same with given kernels (tests run every table the machine offers), and screens of matrices
/// with so many outputs.
std::unique_ptr<Backend> make_cpu_backend(int threads, const cpu::Kernels& kernels,
                                          std::int64_t least_screened = kLeastScreened);

}  // namespace aira
