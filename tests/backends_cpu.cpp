// The CPU backend with every kernel table that this machine can run.
#include "backends.h"
#include "cpu/cpu_backend.h"

namespace aira {

const std::vector<TestBackend>& test_backends() {
  static const std::vector<TestBackend> all = [] {
    std::vector<TestBackend> list;
    for (const cpu::Kernels* kernels : cpu::available_kernels()) {
      list.push_back(
          {.name = kernels->name,
           .make = [kernels](ThreadPool& pool) { return make_cpu_backend(pool, *kernels); },
           .int8 = true,
           .half_cache = true});
    }
    return list;
  }();
  return all;
}

}  // namespace aira
