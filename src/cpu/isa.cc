// The kernels of one instruction set: compiled once for each with AIRA_ISA, its name, and compiler
// flags of its own (src/CMakeLists.txt). Nothing that this includes may instantiate or define code
// that other files share: plain pointers only, no std containers.
#if defined(__AVX512F__)
#include "cpu/simd/avx512.h"
#elif defined(__AVX2__)
#include "cpu/simd/avx2.h"
#else
#include "cpu/simd/portable.h"
#endif
// clang-format off: the vector vocabulary comes first
#include "cpu/attention_impl.h"
#include "cpu/layernorm_impl.h"
#include "cpu/linear_i8_impl.h"
#include "cpu/linear_impl.h"
#include "cpu/pack_impl.h"
#include "cpu/quantize_impl.h"
#include "cpu/sum_exp_impl.h"
#if defined(__AMX_INT8__)
#include "cpu/linear_amx_impl.h"
#endif
// clang-format on

#define AIRA_TEXT(name) #name
#define AIRA_NAME(name) AIRA_TEXT(name)

namespace aira::cpu::AIRA_ISA {

const Kernels kKernels = {.name = AIRA_NAME(AIRA_ISA),
                          .linear_f32 = &linear<float>,
                          .linear_f16 = &linear<std::uint16_t>,
#if defined(__AMX_INT8__)
                          .linear_i8 = &linear_amx,
#else
                          .linear_i8 = &linear_i8,
#endif
                          .quantize = &quantize_row,
                          .attention_f32 = {&append<float>, &attend<float>},
                          .attention_f16 = {&append<std::uint16_t>, &attend<std::uint16_t>},
                          .layernorm = &layernorm,
                          .widen = &widen,
                          .pack = &pack,
                          .sum_exp = &sum_exp};

}  // namespace aira::cpu::AIRA_ISA
