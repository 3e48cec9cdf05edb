// The Backend over host memory.
#pragma once

#include <memory>

#include "base/thread_pool.h"
#include "cpu/kernels.h"
#include "model/backend.h"

namespace aira {

/// A backend that computes on `pool`, which must outlive it, with the best kernels for this machine
/// or with others (tests run every table).
std::unique_ptr<Backend> make_cpu_backend(ThreadPool& pool,
                                          const cpu::Kernels& kernels = cpu::choose_kernels());

}  // namespace aira
