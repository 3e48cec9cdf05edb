// The boundary between the model and the hardware: memory and the few operations that GPT-2 needs.
// Dimension letters: T rows, C width, H heads, D head size (C / H), S context, V vocabulary.
//
// An operation takes T rows that may belong to different sequences, prompt and decode rows in any
// mix, without padding. The order of arithmetic of each output depends on its own inputs only, so a
// row's result has the same bits whatever else is in the call and however many threads compute it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "model/tensor.h"

namespace aira {

inline constexpr std::int32_t kDrawnToken = -1;  // as Row::token: the one drawn last for the slot
inline constexpr std::int32_t kNotDrawn = -2;    // drawn when no logit of the row is finite

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

/// Those of transformers' ACT2FN that have no parameters of their own; kNone is its "linear".
// clang-format off
enum class Activation : std::uint8_t {
  kNone, kGeluTanh, kGeluErf, kGelu10, kQuickGelu, kRelu, kRelu2, kRelu6, kLeakyRelu, kSilu,
  kHardSwish, kMish, kSigmoid, kTanh, kLaplace, kSqrtSoftplus,
};
// clang-format on

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

/// Position p of a slot is in page pages[slot * width + p / kPagePositions]. Slots may share pages
/// that none of them writes any more; entries that no row reaches may be anything.
struct PageTable {
  std::span<const std::int32_t> pages;  // [slots, width]
  std::int64_t width = 0;
};

/// Keys and values of all layers. Each backend defines the layout of `data`.
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

/// How matrices lie in memory, for a file whose bytes are used as they are, on 64-byte boundaries.
struct Packing {
  std::string name;  // changes whenever the layout does
  /// Size of the contiguous bytes at Matrix::data.
  std::int64_t (*bytes)(DType dtype, std::int64_t in, std::int64_t out) = nullptr;
};

/// How to draw one token; the rules are those of Sampler (src/run/sampler.h).
struct DeviceDraw {
  double temperature = 1;
  double top_p = 1;
  double uniform = 0;  // the random number, in [0, 1)
  float penalty = 1;   // repetition penalty over the slot's positions 0..the row's own
  std::int32_t top_k = 1;
  bool greedy = false;
  bool log_probability = false;  // wanted as well
};

struct DrawnToken {
  std::int32_t id = 0;        // or kNotDrawn
  float log_probability = 0;  // of the model, before penalty, temperature and the rest; if wanted
};

/// Draws on the device, so that a token need not pass through the host before the next step.
class DeviceSampler {
 public:
  /// Draws that may be uncollected at a time.
  static constexpr int kDrawsAhead = 2;

  /// Whether the device can draw like this from a vocabulary of this size.
  virtual bool can_draw(const DeviceDraw& draw, std::int64_t vocab) const = 0;
  /// The step that begins next draws a token for each of its output rows like this.
  virtual void prepare(std::span<const DeviceDraw> draws) = 0;
  /// The last operation of that step; logits is [output rows, V]. The next step, with kDrawnToken
  /// in its rows, may begin before the tokens are collected.
  virtual void draw(Tensor logits) = 0;
  /// Waits for the earliest uncollected draw and returns its tokens, valid until the next draw().
  virtual std::span<const DrawnToken> drawn() = 0;

 protected:
  ~DeviceSampler() = default;
};

class Backend {
 public:
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// Device, instruction set and threads for display, e.g. "cpu (avx512, 2 threads)".
  const std::string& description() const { return description_; }
  /// The PCI bus id of the GPU that computes, as the driver writes it; empty without one.
  const std::string& gpu() const { return gpu_; }

  // -- Memory, allocated before the first step. Throw Error when there is not enough. --

  /// `bytes` of memory, uninitialised or holding a copy of `contents`.
  virtual Buffer alloc(std::int64_t bytes, const void* contents = nullptr) = 0;
  /// Weights in the kernels' layout, stored as `dtype` (kF32, kF16 or kI8). `source` may be
  /// dropped afterwards.
  virtual Matrix load_matrix(const HostTensor& source, DType dtype) = 0;
  /// A parameter as f32. A copy here too: the system would keep 64 kB of the file for each bias.
  virtual Vector load_vector(const HostTensor& source) = 0;
  /// Null when this backend's matrices cannot be kept in a file.
  virtual const Packing* packing() const { return nullptr; }
  /// Allocates what steps within `limits`, and within limits reserved before, need beside weights,
  /// cache and activations. Returns the rows that activations need: a backend that replays recorded
  /// steps rounds their sizes up and computes the extra rows.
  virtual StepRows reserve(const StepLimits& limits) = 0;
  /// Rows of one step that suit it: enough that reading the weights costs little per row of a
  /// prompt, few enough that the activations stay in its caches.
  virtual std::int64_t step_rows() const { return 256; }
  /// `shape` with memory for it, uninitialised: attention writes before it reads.
  virtual KvCache make_cache(KvCache shape) = 0;
  /// Copies whole pages in all layers. Between steps; no page is both read and written.
  virtual void copy_pages(const KvCache& cache, std::span<const PageCopy> copies) = 0;

  // -- Operations, between begin() and end(). They allocate nothing; no rows are nothing to do. --

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
  explicit Backend(std::string description, std::string gpu = {})
      : description_(std::move(description)), gpu_(std::move(gpu)) {}

 private:
  std::string description_;
  std::string gpu_;
};

}  // namespace aira
