// The kernels for x86-64 with AVX2, FMA and F16C. Built with flags of its own (src/CMakeLists.txt),
// so nothing here may instantiate or define code that other files share: plain pointers only, no
// std containers.
#define AIRA_ISA avx2
#include "cpu/simd/avx2.h"
// clang-format off: the vocabulary comes first
#include "cpu/kernels_impl.h"

namespace aira::cpu {

const Kernels kAvx2Kernels = avx2::make_kernels("avx2");

}  // namespace aira::cpu
