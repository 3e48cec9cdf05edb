// What a thread does in each operation, as a table of functions: one table per instruction set,
// chosen once at start (choose_kernels). The bodies are in *_impl.h, compiled once per instruction
// set by isa_*.cc.
//
// Weights lie in panels of kPanel outputs: [ceil(out / kPanel)][in][kPanel], missing outputs zero.
// A kernel then streams its weights from front to back, and the lanes of a vector are outputs: each
// output is one chain of fused multiply-adds over k = 0..in-1, whatever the number of rows, so
// results do not depend on the batch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aira/backend.h"

namespace aira::cpu {

constexpr std::int64_t kPanel = 32;     // outputs in a panel
constexpr std::int64_t kKeyBlock = 16;  // positions in a block of cached keys
constexpr std::int64_t kQueryRows = 4;  // most rows of one sequence in an attention job

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

/// To be raised when the bytes of a packed matrix change their meaning.
constexpr int kPanelLayout = 1;

/// Bytes of a packed matrix, one stretch.
constexpr std::int64_t packed_bytes(DType dtype, std::int64_t in, std::int64_t out) {
  return round_up(out, kPanel) * in * size_of(dtype);
}

/// y = residual + activation(x W + bias); every row is `in` or `out` floats, without gaps.
struct LinearJob {
  const float* x = nullptr;  // [rows, in]
  std::int64_t rows = 0;
  const void* panels = nullptr;  // float or half
  std::int64_t in = 0;
  std::int64_t out = 0;
  const float* bias = nullptr;  // [out] or null
  Activation activation = Activation::kNone;
  const float* residual = nullptr;  // [rows, out] or null
  float* y = nullptr;               // [rows, out]
};

/// Where the kernels find a source matrix and put its panels.
struct PackJob {
  const std::byte* source = nullptr;  // [in, out], or [out, in] when out_major; any alignment
  DType source_dtype = DType::kF32;
  bool out_major = false;
  std::int64_t in = 0;
  std::int64_t out = 0;
  void* panels = nullptr;
  DType dtype = DType::kF32;  // kF32 or kF16
};

/// One head of up to kQueryRows consecutive positions of one sequence.
///
/// Keys lie in blocks of kKeyBlock positions, [S / kKeyBlock][D][kKeyBlock], so that the lanes of a
/// vector are positions; values lie as [S][padded D], so that the lanes are features.
struct AttentionJob {
  const float* qkv = nullptr;  // first row's query of this head; key C, value 2 C floats further
  std::int64_t width = 0;      // C
  std::int64_t rows = 0;       // 1..kQueryRows
  std::int64_t position = 0;   // of the first row
  float* keys = nullptr;
  float* values = nullptr;
  std::int64_t head_size = 0;  // D
  float scale = 1;
  float* out = nullptr;      // first row's output of this head; rows are C apart
  float* scratch = nullptr;  // attention_scratch() floats
};

/// Floats of scratch memory that an attention job needs.
constexpr std::int64_t attention_scratch(std::int64_t context, std::int64_t head_size) {
  return kQueryRows * (round_up(context, kKeyBlock) + round_up(head_size, kKeyBlock));
}

struct Kernels {
  const char* name;
  /// Panels [begin, end) of a linear map, weights as float or half. `scratch` holds in * kPanel
  /// floats.
  void (*linear_f32)(const LinearJob& job, std::int64_t begin, std::int64_t end, float* scratch);
  void (*linear_f16)(const LinearJob& job, std::int64_t begin, std::int64_t end, float* scratch);
  /// Copies the keys and values of a job's rows into the cache.
  void (*append)(const AttentionJob& job);
  /// Attends; the rows' own keys and values are in the cache already.
  void (*attend)(const AttentionJob& job);
  /// One row: y = (x - mean) / sqrt(variance + epsilon) * gain + bias.
  void (*layernorm)(const float* x, const float* gain, const float* bias, float epsilon,
                    std::int64_t width, float* y);
  /// Panels [begin, end) from a source matrix. False when a number is too big for kF16.
  bool (*pack)(const PackJob& job, std::int64_t begin, std::int64_t end);
};

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

/// The tables that this machine can run, best first; the last is portable.
std::vector<const Kernels*> available_kernels();

/// The best table; the environment variable AIRA_ISA (portable, avx2, avx512) narrows the choice
/// for tests and measurements. Throws Error when it names something this machine cannot run.
const Kernels& choose_kernels();

}  // namespace aira::cpu
