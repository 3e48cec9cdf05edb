// All kernels of one instruction set. The including file has defined AIRA_ISA and the vector
// vocabulary (simd/*.h).
#pragma once

#include "cpu/kernels.h"
#include "cpu/math_impl.h"
// The others use math_impl.h.
#include "cpu/attention_impl.h"
#include "cpu/layernorm_impl.h"
#include "cpu/linear_i8_impl.h"
#include "cpu/linear_impl.h"
#include "cpu/pack_impl.h"
#include "cpu/quantize_impl.h"
#include "cpu/sum_exp_impl.h"

namespace aira::cpu::AIRA_ISA {
namespace {

constexpr Kernels make_kernels(const char* name) {
  return {.name = name,
          .linear_f32 = &linear<float>,
          .linear_f16 = &linear<std::uint16_t>,
          .linear_i8 = &linear_i8,
          .quantize = &quantize_row,
          .attention_f32 = {&append<float>, &attend<float>},
          .attention_f16 = {&append<std::uint16_t>, &attend<std::uint16_t>},
          .merge = &merge,
          .layernorm = &layernorm,
          .pack = &pack,
          .sum_exp = &sum_exp};
}

}  // namespace
}  // namespace aira::cpu::AIRA_ISA
