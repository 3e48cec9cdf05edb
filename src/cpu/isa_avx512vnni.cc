// linear_i8 for x86-64 with AVX-512 and VNNI. Built with flags of its own (src/CMakeLists.txt), so
// nothing here may instantiate or define code that other files share: plain pointers only, no std
// containers.
#define AIRA_ISA avx512vnni
#include "cpu/simd/avx512.h"
// clang-format off: the vocabulary comes first
#include "cpu/linear_i8_impl.h"

namespace aira::cpu {

const LinearKernel kAvx512VnniLinearI8 = &avx512vnni::linear_i8;

}  // namespace aira::cpu
