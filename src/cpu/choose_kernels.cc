// Which instruction sets this processor and its operating system offer.
#include <cstdlib>
#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
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

/// VNNI in 256-bit registers, encoded as AVX2 is. Names as above.
bool has_avx_vnni() {
  constexpr unsigned int kAvxVnni = 1U << 4;
  unsigned int eax = 0;
  unsigned int ebx = 0;
  unsigned int ecx = 0;
  unsigned int edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & kAvxVnni) != 0;
}

/// Whether the processor has AMX for int8 and the system lets this process use it. A process has to
/// ask, once, for all its threads: Linux keeps the large registers from those that do not.
bool may_use_amx() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr unsigned int kTileAndInt8 = 3U << 24;
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILE_DATA
  unsigned int eax = 0;
  unsigned int ebx = 0;
  unsigned int ecx = 0;
  unsigned int edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kTileAndInt8) != kTileAndInt8) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

/// `kernels` but for their linear maps in int8.
Kernels with_i8(Kernels kernels, const char* name, LinearKernel linear_i8) {
  kernels.name = name;
  kernels.linear_i8 = linear_i8;
  return kernels;
}

}  // namespace
#endif

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> tables;
#if defined(__x86_64__)
  static const Kernels kAmx = with_i8(kAvx512Kernels, "amx", kAmxLinearI8);
  static const Kernels kAvx512Vnni = with_i8(kAvx512Kernels, "avx512vnni", kAvx512VnniLinearI8);
  static const Kernels kAvxVnni = with_i8(kAvx2Kernels, "avxvnni", kAvxVnniLinearI8);
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
      if (__builtin_cpu_supports("avx512vnni")) {
        if (may_use_amx()) tables.push_back(&kAmx);
        tables.push_back(&kAvx512Vnni);
      }
      tables.push_back(&kAvx512Kernels);
    }
    if (has_avx_vnni()) tables.push_back(&kAvxVnni);
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
