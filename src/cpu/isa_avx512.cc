// The kernels for x86-64 with AVX-512F and AVX-512VL. Built with flags of its own
// (src/CMakeLists.txt), so nothing here may instantiate or define code that other files share:
// plain pointers only, no std containers.
#define AIRA_ISA avx512
#include "cpu/simd/avx512.h"
// clang-format off: the vocabulary comes first
#include "cpu/kernels_impl.h"

namespace aira::cpu {

const Kernels kAvx512Kernels = avx512::make_kernels("avx512");

}  // namespace aira::cpu
