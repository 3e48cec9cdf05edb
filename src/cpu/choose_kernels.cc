// Which instruction sets this processor and its operating system offer.
#include <cstdlib>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "aira/error.h"
#include "cpu/kernels.h"

namespace aira::cpu {

#if defined(__x86_64__)
namespace {

// Not by __builtin_cpu_supports: clang does not know that name of the feature.
bool has_f16c() {
  unsigned int eax = 0;
  unsigned int ebx = 0;
  unsigned int ecx = 0;
  unsigned int edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace
#endif

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> tables;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
      tables.push_back(&kAvx512Kernels);
    }
    tables.push_back(&kAvx2Kernels);
  }
#endif
  tables.push_back(&kPortableKernels);
  return tables;
}

const Kernels& choose_kernels() {
  const std::vector<const Kernels*> tables = available_kernels();
  const char* wanted = std::getenv("AIRA_ISA");
  if (wanted == nullptr || *wanted == '\0') return *tables.front();
  std::string names;
  for (const Kernels* table : tables) {
    if (table->name == std::string(wanted)) return *table;
    names += (names.empty() ? "" : ", ") + std::string(table->name);
  }
  throw Error("AIRA_ISA is \"" + std::string(wanted) + "\", but this machine can run " + names +
              ".");
}

}  // namespace aira::cpu
