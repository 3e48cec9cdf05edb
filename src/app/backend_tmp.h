#pragma once
#include "app/command_line.h"
#include "base/thread_pool.h"
#include "cpu/cpu_backend.h"
namespace aira {
inline int threads_of(const CommonOptions& o) {
  return o.threads > 0 ? o.threads : ThreadPool::usable_cores();
}
inline std::unique_ptr<Backend> make_backend(const CommonOptions& o) {
  return make_cpu_backend(threads_of(o));
}
}  // namespace aira
