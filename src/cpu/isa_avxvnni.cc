// linear_i8 for x86-64 with AVX2 and AVX-VNNI: VNNI in 256-bit registers, also on processors
// without AVX-512. Built with flags of its own (src/CMakeLists.txt), so nothing here may
// instantiate or define code that other files share: plain pointers only, no std containers.
//
// Measured on two cores of a Xeon, GPT-2 small with a prompt of 512 tokens: 1050 tokens/s with AVX2
// and 1734 with this. Tiles of 6 rows, for which there would be registers, were not faster than 4.
#define AIRA_ISA avxvnni
#include "cpu/simd/avx2.h"
// clang-format off: the vocabulary comes first
#include "cpu/linear_i8_impl.h"

namespace aira::cpu {

const LinearKernel kAvxVnniLinearI8 = &avxvnni::linear_i8;

}  // namespace aira::cpu
