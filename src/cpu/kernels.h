// What a thread does in each operation, as a table of functions: one table per instruction set,
// chosen once at start (choose_kernels). The bodies are in *_impl.h.
//
// Weights are stored in panels of kPanel outputs, missing outputs zero: as float or half
// [in][kPanel], as int8 (quantize_impl.h) [ceil(in / kGroup)] blocks of
//   bf16 scales[kPanel]; int8 weights[kGroup / 4][kPanel][4].
// So a kernel streams its weights from front to back, and the lanes of a vector are outputs: each
// output is one chain of fused multiply-adds over the inputs or groups, whatever the number of
// rows. The layout is the same for every instruction set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/backend.h"

namespace aira::cpu {

constexpr std::int64_t kPanel = 32;      // outputs in a panel
constexpr std::int64_t kGroup = 64;      // inputs that share a scale in int8
constexpr std::int64_t kRowTile = 16;    // rows of quantised inputs stored together
constexpr std::int64_t kQueryRows = 12;  // most rows of one sequence in an attention job
constexpr std::int64_t kRangePages = 8;  // pages of keys that have a softmax of their own
constexpr std::int64_t kRange = kRangePages * kPagePositions;
constexpr std::int64_t kPartTail = 2;  // a softmax's greatest score and sum, behind its values

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }
constexpr std::int64_t groups_of(std::int64_t in) { return (in + kGroup - 1) / kGroup; }

constexpr int kPanelLayout = 1;  // must be raised when the layout of a packed matrix changes

constexpr std::int64_t kGroupBytes = kPanel * 2 + kPanel * kGroup;  // of a panel's group in int8

constexpr std::int64_t panel_bytes(DType dtype, std::int64_t in) {
  return dtype == DType::kI8 ? groups_of(in) * kGroupBytes : in * kPanel * size_of(dtype);
}

/// Bytes of a packed matrix.
constexpr std::int64_t packed_bytes(DType dtype, std::int64_t in, std::int64_t out) {
  return round_up(out, kPanel) / kPanel * panel_bytes(dtype, in);
}

/// Inputs as int8, x = scale * value for each row and group of kGroup inputs, in tiles of kRowTile
/// rows (the last has the rest): [groups][rows of the tile][kGroup], [groups][rows of the tile].
struct QuantizedRows {
  std::int8_t* values = nullptr;  // on a 64-byte boundary
  float* scales = nullptr;
  std::int32_t* offsets = nullptr;  // -128 times the sum of the group's values
};

/// Rows of the row tile that begins at row `tile` of `rows`.
constexpr std::int64_t tile_height(std::int64_t rows, std::int64_t tile) {
  return rows - tile < kRowTile ? rows - tile : kRowTile;
}

constexpr std::int64_t kQuantizedGroupBytes = kGroup + 4 + 4;  // of a row and group

/// y = residual + activation(x W + bias); every row is `in` or `out` floats, without gaps.
struct LinearJob {
  const float* x = nullptr;  // [rows, in]
  QuantizedRows quantized;   // the same for weights in int8, filled by Kernels::quantize
  std::int64_t rows = 0;
  const void* panels = nullptr;  // in packed_bytes()
  std::int64_t in = 0;
  std::int64_t out = 0;
  const float* bias = nullptr;  // [out] or null
  Activation activation = Activation::kNone;
  const float* residual = nullptr;  // [rows, out] or null
  float* y = nullptr;               // [rows, out]
};

/// A source matrix and where its panels go.
struct PackJob {
  const std::byte* source = nullptr;  // [in, out], or [out, in] when out_major; any alignment
  DType source_dtype = DType::kF32;
  bool out_major = false;
  std::int64_t in = 0;
  std::int64_t out = 0;
  void* panels = nullptr;
  DType dtype = DType::kF32;  // kF32, kF16 or kI8
};

/// Features of a head's values in the cache, the last ones zero.
constexpr std::int64_t padded_head(std::int64_t head_size) { return round_up(head_size, kPanel); }
/// Ranges of keys that positions 0..position lie in.
constexpr std::int64_t key_ranges(std::int64_t position) { return position / kRange + 1; }

/// One head of up to kQueryRows consecutive positions of one sequence. A head's part of a page is
/// its keys as [D][32 positions], then its values as [padded D / 32][32 positions][32 features].
struct AttentionJob {
  const float* qkv = nullptr;    // first row's query; its key is C, its value 2 C floats later
  std::int64_t width = 0;        // C
  std::int64_t rows = 0;         // 1..kQueryRows
  std::int64_t position = 0;     // of the first row
  void* cells = nullptr;         // the head's part of page 0; float or half
  std::int64_t page_stride = 0;  // numbers from page to page
  const std::int32_t* pages = nullptr;  // the sequence's
  std::int64_t head_size = 0;           // D
  float scale = 1;
  float* out = nullptr;      // first row's output of this head; rows are C apart
  float* scratch = nullptr;  // attention_scratch() floats
};

/// Numbers of a head's part of a page.
constexpr std::int64_t page_numbers(std::int64_t head_size) {
  return kPagePositions * (head_size + padded_head(head_size));
}
/// Floats of the queries, and their scores in one range.
constexpr std::int64_t tile_floats(std::int64_t head_size) {
  return kQueryRows * (padded_head(head_size) + kRange);
}
/// The same and the softmaxes of all ranges of a context.
constexpr std::int64_t attention_scratch(std::int64_t context, std::int64_t head_size) {
  return tile_floats(head_size) +
         key_ranges(context - 1) * kQueryRows * (padded_head(head_size) + kPartTail);
}

/// Attention over a cache of one type.
struct AttentionKernels {
  /// Copies the keys and values of a job's rows into the cache.
  void (*append)(const AttentionJob& job);
  /// softmax(q k^T * scale) v of each row; the rows' own keys and values are in the cache already.
  void (*attend)(const AttentionJob& job);
};

/// Panels [begin, end) of a linear map.
using LinearKernel = void (*)(const LinearJob& job, std::int64_t begin, std::int64_t end);

struct Kernels {
  const char* name;
  LinearKernel linear_f32;
  LinearKernel linear_f16;
  LinearKernel linear_i8;  // of quantised rows
  /// One row of a job's x to int8.
  void (*quantize)(const LinearJob& job, std::int64_t row);
  AttentionKernels attention_f32, attention_f16;
  /// One row: y = (x - mean) / sqrt(variance + epsilon) * gain + bias.
  void (*layernorm)(const float* x, const float* gain, const float* bias, float epsilon,
                    std::int64_t width, float* y);
  /// `count` numbers in f32, f16 or bf16, at any alignment, as floats.
  void (*widen)(const std::byte* source, DType dtype, std::int64_t count, float* out);
  /// Panels [begin, end) from a source matrix. False when a number is too large for kF16.
  bool (*pack)(const PackJob& job, std::int64_t begin, std::int64_t end);
  /// The sum of e^(x[i] - highest), i < n, in double precision. Terms below e^-708 count as 0.
  double (*sum_exp)(const float* x, std::int64_t n, double highest);
};

// The tables, made by isa.cc.
// clang-format off
namespace portable { extern const Kernels kKernels; }
namespace avx2 { extern const Kernels kKernels; }
namespace avxvnni { extern const Kernels kKernels; }
namespace avx512 { extern const Kernels kKernels; }
namespace avx512vnni { extern const Kernels kKernels; }
namespace amx { extern const Kernels kKernels; }
// clang-format on

/// All tables of this program, best first; the last is portable.
std::vector<const Kernels*> compiled_kernels();

/// Those that this machine can run.
std::vector<const Kernels*> available_kernels();

/// The best table; the environment variable AIRA_ISA (portable, avx2, avx512, ...) narrows the
/// choice for tests and measurements. Throws Error when it names something this machine cannot run.
const Kernels& choose_kernels();

}  // namespace aira::cpu
