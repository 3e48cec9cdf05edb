// Every operation that runs on the GPU: its arguments and its launcher. Launchers only enqueue work
// on `stream`; all pointers are device memory. T rows, C width, H heads, D head size, S context,
// V vocabulary.
//
// Matrices are [out, stride] in f32, f16 or int8, an output's weights next to each other; stride is
// `in` rounded up to 16 bytes, the rest zero. int8 is stored as n + 128, and behind the matrix is a
// bf16 scale for each output and group of inputs, [ceil(in / kScaleInputs), scale_pitch(out)]; n
// and scales are those of the CPU. Cached keys and values of a layer are [pages, H, 32 positions,
// padded D], padded D being a multiple of 8, the rest zero.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "model/backend.h"

namespace aira::cuda {

/// The rows of a step, each [T]. A token below 0 is the one drawn last for the row's slot. A slot
/// below 0 marks a row that only pads a recorded step: it is computed from arbitrary contents and
/// touches no cache.
struct RowArrays {
  const std::int32_t* token = nullptr;
  const std::int32_t* slot = nullptr;
  const std::int32_t* position = nullptr;
  const std::int32_t* drawn = nullptr;  // [slots]
};

/// A step's PageTable.
struct PageArray {
  const std::int32_t* page = nullptr;  // [slots, width]
  std::int64_t width = 0;
};

/// Up to kGroupRows rows of one slot at consecutive positions.
struct RowGroup {
  std::int32_t first_row = 0;
  std::int32_t rows = 0;
  std::int32_t slot = 0;
  std::int32_t position = 0;  // of the first row
};
constexpr int kGroupRows = 64;

constexpr std::int64_t kScaleInputs = 64;
constexpr std::int64_t scale_groups(std::int64_t in) {
  return (in + kScaleInputs - 1) / kScaleInputs;
}
constexpr std::int64_t scale_pitch(std::int64_t out) { return (out + 7) / 8 * 8; }

// -- convert.cu --

/// Rows of a stored matrix, [rows, cols], to their place in [out, stride].
struct ConvertJob {
  const void* source = nullptr;
  DType stored = DType::kF32;  // kF32, kF16 or kBF16
  bool out_major = false;      // a row is an output's weights; else those of an input
  std::int64_t first_row = 0;  // when an input, for kI8, a multiple of kScaleInputs
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  void* to = nullptr;
  DType dtype = DType::kF32;  // kF32, kF16 or kI8
  std::int64_t out = 0;
  std::int64_t stride = 0;
  std::int32_t* overflows = nullptr;  // set to 1 when a finite number becomes infinite
};
void convert(const ConvertJob& job, Stream stream);

// -- embed.cu --

struct EmbedJob {
  RowArrays rows;
  std::int64_t count = 0;        // T
  const void* tokens = nullptr;  // [V, stride]
  DType dtype = DType::kF32;
  std::int64_t vocab = 0;  // V
  std::int64_t stride = 0;
  const float* positions = nullptr;  // [S, C]
  std::int64_t width = 0;
  float* out = nullptr;  // [T, C]
};
void embed_rows(const EmbedJob& job, Stream stream);

// -- layernorm.cu --

struct LayerNorm {
  const float* gain = nullptr;  // [C]
  const float* bias = nullptr;  // [C]
  float epsilon = 0;
};
struct LayerNormJob {
  const float* x = nullptr;  // [rows, C], or [T, C] with `from`
  std::int64_t rows = 0;
  std::int64_t width = 0;
  LayerNorm norm;
  float* out = nullptr;                // [rows, C]; may be x without `from`
  const std::int32_t* from = nullptr;  // [rows], the row of x for each; null: its own
};
void layernorm(const LayerNormJob& job, Stream stream);

// -- linear_few.cu --

/// y = residual + activation(norm(x) W + bias).
struct LinearJob {
  const float* x = nullptr;  // [rows, in]
  std::int64_t rows = 0;
  const void* weights = nullptr;  // [out, stride]
  DType dtype = DType::kF32;
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t stride = 0;
  const float* bias = nullptr;  // [out] or null
  Activation activation = Activation::kNone;
  const float* residual = nullptr;     // [rows, out] or null; may be y
  LayerNorm norm;                      // of x; gain null: none
  const std::int32_t* from = nullptr;  // [rows], the row of x for each; null: its own
  float* y = nullptr;                  // [rows, out]
  void* halves = nullptr;              // [halves_size(rows, stride)], for many rows
};
/// From row to row of inputs that were rounded to halves, and the room that they take: whole parts
/// of linear_slices.h, and whole tiles of rows.
constexpr std::int64_t halves_pitch(std::int64_t stride) { return (stride + 95) / 96 * 96; }
constexpr std::int64_t halves_size(std::int64_t rows, std::int64_t stride) {
  return (rows + 127) / 128 * 128 * halves_pitch(stride);
}
/// Whether the linear kernels can include the LayerNorm of rows of this width.
constexpr bool linear_can_normalise(std::int64_t in) { return in % 4 == 0 && in <= 3072; }
/// For f16 or int8 weights and few rows; x, after the LayerNorm, is rounded to f16.
void linear_few(const LinearJob& job, Stream stream);

// -- linear_tile.cu --

/// The same for many rows; needs job.halves.
void linear_tile(const LinearJob& job, Stream stream);

// -- linear_wgmma.cu --

/// The same by the tensor-core instructions of Hopper (compute capability 9.0).
void linear_wgmma(const LinearJob& job, Stream stream);

// -- linear_epilogue.cu: after cuBLAS's matrix product --

/// y = residual + activation(y + bias), where job.y holds the product x W.
void linear_epilogue(const LinearJob& job, const float* product, Stream stream);

// -- attention_append.cu, attention_decode.cu, attention_prefill.cu --

struct AttentionJob {
  const float* qkv = nullptr;  // [T, 3C]
  std::int64_t count = 0;      // T
  RowArrays rows;
  const std::int32_t* only = nullptr;  // [T], the rows of attention_decode; null: 0 to T - 1
  const RowGroup* groups = nullptr;    // [group_count], for attention_prefill
  std::int64_t group_count = 0;
  PageArray pages;
  void* keys = nullptr;  // [pages, H, 32, padded D] of this layer
  void* values = nullptr;
  std::int32_t* tokens = nullptr;  // [pages, 32], written when appending; null: not in this layer
  DType dtype = DType::kF32;       // of the cache
  std::int64_t heads = 0;
  std::int64_t head_size = 0;
  std::int64_t positions = 0;  // greater than every row's position
  float scale = 1;
  float* out = nullptr;         // [T, C]
  float* partial = nullptr;     // attention_partial_floats()
  unsigned* arrived = nullptr;  // [T, H] zeros; left zero
};
constexpr std::int64_t kLargestHead = 128;
constexpr std::int64_t padded_head(std::int64_t head_size) { return (head_size + 7) / 8 * 8; }
/// Bytes of a page's keys, or of its values, in one layer; a multiple of 16.
constexpr std::int64_t page_bytes(std::int64_t heads, std::int64_t head_size, DType dtype) {
  return heads * kPagePositions * padded_head(head_size) * size_of(dtype);
}
/// Positions per block of attention_decode.
constexpr std::int64_t kSplitKeys = 128;
constexpr std::int64_t attention_partial_floats(std::int64_t rows, std::int64_t heads,
                                                std::int64_t head_size, std::int64_t context) {
  return rows * heads * ((context + kSplitKeys - 1) / kSplitKeys) * (padded_head(head_size) + 2);
}
/// Writes each row's key and value into the cache.
void attention_append(const AttentionJob& job, Stream stream);
/// Each row attends to 0..its position. With `append`, rows are of different slots and write their
/// own key and value first; without, everything is in the cache already.
void attention_decode(const AttentionJob& job, bool append, Stream stream);
/// The same for groups of rows, on tensor cores; cache in f16, everything in it already.
void attention_prefill(const AttentionJob& job, Stream stream);

// -- copy_pages.cu --

/// Pages to copy in each of `arrays` consecutive arrays [pages, page_bytes].
struct CopyPagesJob {
  static constexpr std::int64_t kMost = 64;
  void* data = nullptr;
  std::int64_t arrays = 0;
  std::int64_t pages = 0;
  std::int64_t page_bytes = 0;  // a multiple of 16
  std::int64_t count = 0;
  PageCopy copies[kMost] = {};
};
void copy_pages(const CopyPagesJob& job, Stream stream);

// -- scan_logits.cu, draw_tokens.cu --

constexpr std::int64_t kDrawTopK = 64;      // the largest top-k
constexpr std::int64_t kDrawVocab = 65536;  // the largest V
constexpr std::int64_t kDrawChunk = 2048;   // logits that one block scans
constexpr std::int64_t kDrawGroup = 32;     // logits whose maximum is kept

/// The greatest of some logits, and the sum of their exponentials relative to it. -infinity and 0
/// if all are -infinity.
struct ExpSum {
  float maximum;
  float sum;
};

struct DrawJob {
  const float* logits = nullptr;  // [count, V]
  std::int64_t count = 0;
  std::int64_t vocab = 0;
  RowArrays rows;
  const std::int32_t* output_rows = nullptr;  // [count]
  PageArray pages;
  const std::int32_t* tokens = nullptr;  // [pages, 32], of the cache
  const DeviceDraw* options = nullptr;   // [count]; top_k is 1..kDrawTopK unless greedy; 0: no draw
  unsigned* maxima = nullptr;            // [count, draw_groups(V)]
  ExpSum* sums = nullptr;                // [count, draw_chunks(V)]
  std::int32_t* last = nullptr;          // [slots], the rows' `drawn`
  DrawnToken* out = nullptr;             // [..., room]; may be pinned host memory
  std::int64_t room = 0;
  const std::int32_t* flight = nullptr;  // the row of `out` to write
};
constexpr std::int64_t draw_groups(std::int64_t vocab) {
  return (vocab + kDrawGroup - 1) / kDrawGroup;
}
constexpr std::int64_t draw_chunks(std::int64_t vocab) {
  return (vocab + kDrawChunk - 1) / kDrawChunk;
}
/// Maxima and sums of the logits; the first step of draw_tokens.
void scan_logits(const DrawJob& job, Stream stream);
void draw_tokens(const DrawJob& job, Stream stream);

}  // namespace aira::cuda
