// The boundary between the model and the hardware: memory and the few operations that GPT-2 needs.
// The forward pass (src/model/gpt2.cc) is written once against this interface; src/cpu and src/cuda
// implement it.
//
// Dimension letters everywhere: T rows, C width, H heads, D head size (C / H), S context,
// V vocabulary.
//
// Every operation takes T rows that may belong to different sequences, prompt and decode rows in
// any mix. Nothing is padded. Each output element is computed in an arithmetic order that depends
// on its own inputs only, so a row's result has the same bits whatever else is in the call and
// however many threads compute it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "model/device_sampler.h"
#include "model/tensor.h"

namespace aira {

/// One row of work: `token` at `position` of the sequence whose pages are in row `slot` of the
/// step's PageTable. Rows of one slot come in ascending order of position without gaps; earlier
/// positions are in the cache.
struct Row {
  std::int32_t token = 0;  // or kDrawnToken
  std::int32_t slot = 0;
  std::int32_t position = 0;
  /// The token was given, not generated. A backend may have other kernels for such rows.
  bool prompt = false;
};

enum class Activation : std::uint8_t { kNone, kGeluTanh, kGeluErf, kRelu, kSilu };

/// What `linear` does to each output before storing it: out = residual + activation(x W + bias).
struct Epilogue {
  const Vector* bias = nullptr;  // [out] or null
  Activation activation = Activation::kNone;
  Tensor residual = {};  // [T, out] or null; may be the output itself
};

/// Which rows an operation reads: all of its input's, or the step's output rows only.
enum class RowSet : std::uint8_t { kAll, kOutput };

/// Positions in a page of the KV cache.
inline constexpr std::int64_t kPagePositions = 32;

/// Where the sequences' keys and values are: position p of a slot is in page
/// pages[slot * width + p / kPagePositions], at p % kPagePositions. Slots may share pages that none
/// of them writes any more; entries for positions that no row reaches may be anything.
struct PageTable {
  std::span<const std::int32_t> pages;  // [slots, width]
  std::int64_t width = 0;
};

/// Keys and values of every layer in `pages` pages of kPagePositions positions. Each backend
/// defines the layout of `data`.
struct KvCache {
  std::int64_t layers = 0;
  std::int64_t pages = 0;
  std::int64_t heads = 0;
  std::int64_t head_size = 0;
  std::int64_t context = 0;   // most positions of one sequence
  DType dtype = DType::kF32;  // storage; a backend may keep more precision
  Buffer data;
};

struct PageCopy {
  std::int32_t from = 0;
  std::int32_t to = 0;
};

/// Upper bounds of the steps to come.
struct StepLimits {
  std::int64_t rows = 0;         // T
  std::int64_t output_rows = 0;  // rows whose logits are computed
  std::int64_t slots = 0;        // sequences in the page table
  std::int64_t context = 0;      // positions of a sequence
  std::int64_t heads = 0;
  std::int64_t head_size = 0;
  std::int64_t inputs = 0;   // widest input of a linear over T rows
  std::int64_t outputs = 0;  // widest output of a linear over T rows
  std::int64_t vocab = 0;    // outputs of the linear over the output rows
};

/// Rows that a step's activations must have room for.
struct StepRows {
  std::int64_t rows = 0;
  std::int64_t output_rows = 0;
};

/// How matrices lie in memory, where their bytes can be kept in a file and used again as they are,
/// on a 64-byte boundary.
struct Packing {
  std::string name;  // changes whenever the layout does
  /// Size of the contiguous bytes at Matrix::data.
  std::int64_t (*bytes)(DType dtype, std::int64_t in, std::int64_t out) = nullptr;
};

class Backend {
 public:
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// Device, instruction set and threads for display, e.g. "cpu (avx512, 2 threads)".
  const std::string& description() const { return description_; }

  // -- Memory. Everything is allocated before the first step; no operation allocates. All of these
  // throw Error when there is not enough. --

  /// `bytes` of memory, uninitialised or holding a copy of `contents`.
  virtual Buffer alloc(std::int64_t bytes, const void* contents = nullptr) = 0;
  /// Weights in the kernels' layout, stored as `dtype` (kF32, kF16 or kI8). `source` may be
  /// dropped afterwards.
  virtual Matrix load_matrix(const HostMatrix& source, DType dtype) = 0;
  /// A parameter as f32; used in place when possible (f32, aligned, host memory).
  virtual Vector load_vector(const std::shared_ptr<const std::byte>& source, DType dtype,
                             std::int64_t size) = 0;
  /// Null when this backend's matrices cannot be kept in a file.
  virtual const Packing* packing() const { return nullptr; }
  /// Allocates all memory that steps within `limits`, and within limits reserved before, need
  /// beside weights, cache and activations. Returns the rows that activations need: a backend that
  /// replays recorded steps rounds their sizes up and computes the extra rows.
  virtual StepRows reserve(const StepLimits& limits) = 0;
  /// `shape` with memory for it, uninitialised: attention writes before it reads.
  virtual KvCache make_cache(KvCache shape) = 0;
  /// Copies whole pages in all layers. Between steps; no page is both read and written.
  virtual void copy_pages(const KvCache& cache, std::span<const PageCopy> copies) = 0;

  // -- Operations, between begin() and end(). An operation over no rows does nothing. --

  /// Starts a step over `rows`; `output_rows` are ascending indices into it. All spans, and the
  /// weights of every operation, must live until the results are read. A step that an exception cut
  /// short is abandoned by the next one.
  virtual void begin(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
                     const PageTable& table) = 0;
  /// Ends the step; results may be read afterwards.
  virtual void end() = 0;
  /// The tensor in host memory, valid until the next operation.
  virtual std::span<const float> read(const Tensor& tensor) = 0;

  /// out[t] = tokens[row t's token] + positions[row t's position].
  /// tokens is a Matrix with in = C, out = V; positions is [S, C]; out is [T, C].
  virtual void embed(const Matrix& tokens, const Vector& positions, Tensor out) = 0;
  /// out[t] = (x - mean) / sqrt(var + epsilon) * gain + bias of row x[t], or x[output_rows[t]] for
  /// kOutput; x is [T, C], out [T, C] or [output rows, C]. Only the next operation and read() may
  /// use `out`, so that a backend may fuse the two.
  virtual void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                         Tensor out, RowSet rows = RowSet::kAll) = 0;
  /// out = residual + activation(x W + bias); x is [T, in], out is [T, out].
  virtual void linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) = 0;
  /// Appends each row's key and value to the cache of `layer`, then lets each row attend to
  /// positions 0..its own of its slot: softmax(q k^T * scale) v per head. qkv is [T, 3C], out is
  /// [T, C].
  virtual void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                         Tensor out) = 0;

  /// For drawing tokens from logits without reading them; null when this backend cannot.
  virtual DeviceSampler* device_sampler() { return nullptr; }

 protected:
  explicit Backend(std::string description) : description_(std::move(description)) {}

 private:
  std::string description_;
};

}  // namespace aira
