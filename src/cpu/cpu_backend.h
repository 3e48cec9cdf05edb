// The Backend over host memory.
#pragma once

#include <memory>

#include "cpu/kernels.h"
#include "model/backend.h"

namespace aira {

/// A backend with a team of `threads` >= 1 threads and the best kernels this machine can run.
std::unique_ptr<Backend> make_cpu_backend(int threads);
/// The same with given kernels (tests run every table the machine offers).
std::unique_ptr<Backend> make_cpu_backend(int threads, const cpu::Kernels& kernels);

}  // namespace aira
