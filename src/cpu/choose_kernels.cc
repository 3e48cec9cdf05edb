// Which instruction sets this processor and its operating system offer.
#include <array>
#include <cstdlib>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "aira/error.h"
#include "cpu/kernels.h"

namespace aira::cpu {

#if defined(__x86_64__)
namespace {

enum Register : std::size_t { kEax, kEcx = 2, kEdx };

/// Whether CPUID sets all of `bits`. For features whose names __builtin_cpu_supports does not know
/// with every compiler.
bool cpuid_has(unsigned leaf, unsigned subleaf, Register place, unsigned bits) {
  std::array<unsigned, 4> registers{};
  __get_cpuid_count(leaf, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]);
  return (registers[place] & bits) == bits;
}

/// Whether the processor has AMX for int8 and the system lets this process use it. A process has to
/// ask, once, for all its threads: Linux keeps the large registers from those that do not.
bool may_use_amx() {
  constexpr unsigned kTileAndInt8 = 3U << 24;
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILE_DATA
  return cpuid_has(7, 0, kEdx, kTileAndInt8) &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace
#endif

std::vector<const Kernels*> compiled_kernels() {
  return {
#if defined(__x86_64__)
    &amx::kKernels, &avx512vnni::kKernels, &avx512::kKernels, &avxvnni::kKernels, &avx2::kKernels,
#endif
        &portable::kKernels
  };
}

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> tables;
#if defined(__x86_64__)
  constexpr unsigned kAvxVnni = 1U << 4;
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    cpuid_has(1, 0, kEcx, bit_F16C);
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  if (vnni && may_use_amx()) tables.push_back(&amx::kKernels);
  if (vnni) tables.push_back(&avx512vnni::kKernels);
  if (avx512) tables.push_back(&avx512::kKernels);
  if (avx2 && cpuid_has(7, 1, kEax, kAvxVnni)) tables.push_back(&avxvnni::kKernels);
  if (avx2) tables.push_back(&avx2::kKernels);
#endif
  tables.push_back(&portable::kKernels);
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
  throw Error("[E511] AIRA_ISA is \"{}\", but this machine can run {}.", {wanted, names});
}

}  // namespace aira::cpu
