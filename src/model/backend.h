// The boundary between the model and the hardware: memory and the handful of operations that GPT-2
// needs. The forward pass (src/model/gpt2.cc) is written once against this; src/cpu implements it
// over host memory.
//
// Dimension letters everywhere: T rows, C width, H heads, D head size (C / H), S context,
// V vocabulary.
//
// Every operation takes T rows that may belong to different sequences, in any mix of prompt and
// decode rows. Nothing is padded. Each output element is computed in an arithmetic order that
// depends on its own inputs only, so a row's result is the same bits whatever else is in the call
// and however many threads work.
#pragma once

#include <cassert>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "aira/error.h"
#include "aira/generate.h"
#include "model/tensor.h"

namespace aira {

/// One row of work: `token` stands at `position` of the sequence whose pages are line `slot` of the
/// step's PageTable. Rows of one slot come in ascending, gapless position order; earlier positions
/// are in the cache.
struct Row {
  std::int32_t token = 0;
  std::int32_t slot = 0;
  std::int32_t position = 0;
};

/// A row's token when it is the one that the backend drew last for the row's slot (Backend::draw).
inline constexpr std::int32_t kDrawnToken = -1;

enum class Activation : std::uint8_t { kNone, kGeluTanh, kGeluErf, kRelu, kSilu };

/// What `linear` does to each output before storing it: out = residual + activation(x W + bias).
struct Epilogue {
  const Vector* bias = nullptr;  // [out] or null
  Activation activation = Activation::kNone;
  Tensor residual = {};  // [T, out] or null; may be the output itself
};

/// Positions in a page of the KV cache.
inline constexpr std::int64_t kPagePositions = 32;

/// Where the sequences' keys and values lie: position p of a slot is in page
/// pages[slot * width + p / kPagePositions], at p % kPagePositions. Slots may share pages that none
/// of them writes any more; entries of positions that no row reaches may be anything.
struct PageTable {
  std::span<const std::int32_t> pages;  // [slots, width]
  std::int64_t width = 0;
};

/// Keys and values of every layer in `pages` pages of kPagePositions positions. The layout inside
/// `data` is the backend's own business.
struct KvCache {
  std::int64_t layers = 0;
  std::int64_t pages = 0;
  std::int64_t heads = 0;
  std::int64_t head_size = 0;
  std::int64_t context = 0;   // most positions of one sequence
  DType dtype = DType::kF32;  // how a backend may store them; it may keep more
  Buffer data;
};

/// A page whose contents are to be had in another as well.
struct PageCopy {
  std::int32_t from = 0;
  std::int32_t to = 0;
};

/// How a token is to be drawn from a row of logits.
struct Draw {
  SamplingOptions options;
  double uniform = 0;  // in [0, 1), the random number
};

class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// For people: device, instruction set, threads, e.g. "cpu (avx512, 2 threads)".
  virtual std::string description() const = 0;

  // -- Memory. Everything is taken before the first step; no operation allocates. --

  /// Uninitialised memory for [rows, cols] floats. Throws Error when there is not enough.
  virtual Buffer alloc(std::int64_t bytes) = 0;
  /// Weights in the kernels' order, stored as `dtype` (kF32, kF16 or kI8). `source` is [in, out]
  /// or [out, in]; it may be dropped afterwards.
  virtual Matrix load_matrix(const HostMatrix& source, DType dtype) = 0;
  /// Names the order in which load_matrix lays weights, and changes with it, when that can be kept
  /// in a file and taken back by adopt_matrix; empty when it cannot (memory that is not the
  /// host's).
  virtual std::string packing() const { return {}; }
  /// How many bytes load_matrix makes of such a matrix, in one stretch at Matrix::data.
  virtual std::int64_t packed_bytes(std::int64_t /*in*/, std::int64_t /*out*/,
                                    DType /*dtype*/) const {
    return 0;
  }
  /// The matrix whose bytes, on a 64-byte boundary, a backend of the same packing() once made.
  virtual Matrix adopt_matrix(const std::shared_ptr<const std::byte>& /*packed*/,
                              std::int64_t /*in*/, std::int64_t /*out*/, DType /*dtype*/) {
    throw Error("This device keeps no packed weights.");
  }
  /// A parameter as f32; used where it lies when the backend can (f32, aligned, host memory).
  virtual Vector load_vector(const std::shared_ptr<const std::byte>& source, DType dtype,
                             std::int64_t size) = 0;
  /// How many rows a step over `rows` rows may compute: the activations must have room for them. A
  /// backend that replays recorded steps fills them up to a few sizes.
  virtual std::int64_t padded_rows(std::int64_t rows) const { return rows; }
  /// `shape` with memory for it. Contents are undefined; attention writes before it reads.
  virtual KvCache make_cache(KvCache shape) = 0;
  /// Copies whole pages, of all layers, for sequences that part within one. Between steps; no page
  /// is both read and written.
  virtual void copy_pages(const KvCache& cache, std::span<const PageCopy> copies) = 0;
  /// Copies host numbers into a tensor; for tests and tools, no part of a forward pass needs it.
  virtual void write(const Tensor& tensor, std::span<const float> source) = 0;
  /// The tensor in host memory, valid until the next operation.
  virtual std::span<const float> read(const Tensor& tensor) = 0;

  // -- Operations, between begin() and end(). --

  /// Starts a step over `rows`; `wanted` are the ascending indices of rows that `select` keeps.
  /// All spans, and the weights of every operation, must live until the results are read.
  virtual void begin(std::span<const Row> rows, std::span<const std::int32_t> wanted,
                     const PageTable& table) = 0;
  /// Ends the step; results may be read afterwards.
  virtual void end() = 0;

  /// out[t] = tokens[row t's token] + positions[row t's position].
  /// tokens is a Matrix with in = C, out = V; positions is [S, C]; out is [T, C].
  virtual void embed(const Matrix& tokens, const Vector& positions, Tensor out) = 0;
  /// out[t] = (x[t] - mean) / sqrt(var + epsilon) * gain + bias; x and out are [T, C]. `out` is
  /// promised to the next operation and to read() only, so that a backend may fuse the two.
  virtual void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon,
                         Tensor out) = 0;
  /// out = residual + activation(x W + bias); x is [T, in], out is [T, out].
  virtual void linear(Tensor x, const Matrix& weights, const Epilogue& epilogue, Tensor out) = 0;
  /// Appends each row's key and value to the cache of `layer`, then lets each row attend to
  /// positions 0..its own of its slot: softmax(q k^T * scale) v per head. qkv is [T, 3C], out [T,
  /// C].
  virtual void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                         Tensor out) = 0;
  /// out[i] = x[wanted[i]]; x is [T, C], out is [wanted, C].
  virtual void select(Tensor x, Tensor out) = 0;

  // -- The host's own work between steps, on the threads that the backend has. --

  /// How many threads `side_by_side` may use.
  virtual int workers() const { return 1; }
  /// Calls work(i, worker) for i in 0..count-1 in any order, worker below workers(); no two calls
  /// with the same worker at the same time. `work` must not throw.
  virtual void side_by_side(std::int64_t count,
                            const std::function<void(std::int64_t, int)>& work) {
    for (std::int64_t i = 0; i < count; ++i) work(i, 0);
  }

  // -- Drawing tokens where the logits are, for backends that can. After end(), instead of reading
  // them. The next step may begin, with kDrawnToken in its rows, before the tokens are known
  // here. --

  /// Whether this backend draws with these options from a vocabulary of this size.
  virtual bool draws(const SamplingOptions& /*options*/, std::int64_t /*vocab*/) const {
    return false;
  }
  /// Starts to draw a token for each wanted row of the step that has ended, by the rules of
  /// Sampler: from `logits` [wanted, V], which it uses up. The history that counts for the
  /// repetition penalty is the tokens at positions 0..the row's own of its slot; the backend keeps
  /// them with the pages. At most kDrawsAhead draws may be uncollected.
  virtual void draw(Tensor /*logits*/, std::span<const Draw> /*draws*/) { assert(false); }
  /// The tokens of the earliest uncollected draw, waiting for them; valid until the next draw.
  /// Throws Error as Sampler does when no logit is a number.
  virtual std::span<const std::int32_t> drawn() {
    assert(false);
    return {};
  }
  static constexpr int kDrawsAhead = 2;
};

}  // namespace aira
