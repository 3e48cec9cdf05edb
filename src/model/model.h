// GPT-2: immutable weights (Model), and the KV cache and activations of a forward pass (Session).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/backend.h"
#include "model/config.h"

namespace aira {

/// One transformer block's parameters, named as in the checkpoint (h.N.*).
struct LayerWeights {
  Vector ln_1_gain, ln_1_bias;  // [C]
  Matrix attn_qkv;              // C -> 3C    attn.c_attn
  Vector attn_qkv_bias;         // [3C]
  Matrix attn_out;              // C -> C     attn.c_proj
  Vector attn_out_bias;         // [C]
  Vector ln_2_gain, ln_2_bias;  // [C]
  Matrix mlp_in;                // C -> ffn   mlp.c_fc
  Vector mlp_in_bias;           // [ffn]
  Matrix mlp_out;               // ffn -> C   mlp.c_proj
  Vector mlp_out_bias;          // [C]
};

/// Takes a sentence for the user.
using Notice = std::function<void(const std::string& sentence)>;

/// A loaded model. Immutable, so it can be shared by any number of sessions of the same backend.
struct Model {
  ModelConfig config;
  DType dtype = DType::kF16;  // how the matrices are stored
  Matrix token_embedding;     // C -> V     wte
  Vector position_embedding;  // [S, C]     wpe
  std::vector<LayerWeights> layers;
  Vector ln_f_gain, ln_f_bias;  // [C]
  Matrix head;                  // C -> V     lm_head, usually wte itself

  /// Loads the checkpoint into `backend`, matrices stored as `dtype` and an adapter merged. What
  /// the checkpoint holds beside a GPT-2 is left out, which `notice` is told. Throws Error.
  static Model load(const ModelFiles& files, Backend& backend, DType dtype,
                    const Notice& notice = {});
};

inline constexpr const char* kHeadName = "lm_head.weight";

/// A parameter as a checkpoint stores it (without data), and where a Model has it: in `matrix` or
/// in `vector`; the other is null.
struct Parameter {
  HostTensor stored;
  Matrix* matrix = nullptr;
  Vector* vector = nullptr;
};

/// All parameters of `model`, whose configuration is set, in the order of the forward pass; the
/// head only if it is not the token embeddings. Makes the model's layers.
std::vector<Parameter> list_parameters(Model& model, bool own_head);

/// The number of parameters of the model in `files`; the head counts when it is not the token
/// embeddings. Reads headers, and the head if there is one. Throws Error.
std::int64_t count_parameters(const ModelFiles& files);

/// Whether its head is not the token embeddings. The same is read. Throws Error.
bool has_own_head(const ModelFiles& files);

/// A KV cache and the activations of one forward pass, all allocated here.
class Session {
 public:
  struct Limits {
    std::int64_t slots = 1;        // sequences held at once
    std::int64_t context = 0;      // positions per slot; 0 = the model's
    std::int64_t pages = 0;        // of the KV cache; 0 = enough for every slot
    std::int64_t rows = 256;       // most rows in one step
    std::int64_t output_rows = 1;  // most rows of a step whose logits are computed
  };

  Session(const Model& model, Backend& backend, Limits limits);

  /// Runs `rows` through the model and returns the logits [output rows, V] of
  /// rows[output_rows[i]], valid until the next call. Sizes must be within limits(); rows must be
  /// valid for the model. `table` may be left out for limits().pages = 0: each slot then has pages
  /// of its own.
  std::span<const float> forward(std::span<const Row> rows,
                                 std::span<const std::int32_t> output_rows,
                                 const PageTable& table = {});

  /// Whether `launch` may be called with this draw.
  bool can_draw(const DeviceDraw& draw) const {
    return sampler_ != nullptr && sampler_->can_draw(draw, model_.config.vocab);
  }
  /// Starts a step and the drawing of a token for each output row, without waiting for either
  /// (DeviceSampler::draw). Rows may have kDrawnToken.
  void launch(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
              const PageTable& table, std::span<const DeviceDraw> draws);
  /// The tokens of the earliest launch not collected yet (DeviceSampler::drawn).
  std::span<const DrawnToken> drawn() { return sampler_->drawn(); }

  void copy_pages(std::span<const PageCopy> copies) { backend_.copy_pages(cache_, copies); }

  const Limits& limits() const { return limits_; }
  const Model& model() const { return model_; }

 private:
  /// The forward pass, and with `draw` the drawing that the sampler is prepared for.
  Tensor run(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
             const PageTable& table, bool draw);

  const Model& model_;
  Backend& backend_;
  DeviceSampler* sampler_;
  Limits limits_;
  KvCache cache_;
  std::vector<std::int32_t> own_pages_;  // [slots, ceil(context / kPagePositions)]: 0, 1, 2, ...
  std::vector<Buffer> memory_;           // of the activations
  Tensor x_, normed_, qkv_, attended_, ffn_, last_;  // [rows, C | C | 3C | C | ffn], [outputs, C]
  Tensor logits_;                                    // [outputs, V]
};

}  // namespace aira
