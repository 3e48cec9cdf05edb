// GPT-2: immutable weights (Model) and what a forward pass needs beside them (Session).
#pragma once

#include <cstdint>
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
  Matrix mlp_in;                // C -> inner mlp.c_fc
  Vector mlp_in_bias;           // [inner]
  Matrix mlp_out;               // inner -> C mlp.c_proj
  Vector mlp_out_bias;          // [C]
};

/// A loaded model. Immutable, so it can be shared by any number of sessions of the same backend.
struct Model {
  ModelConfig config;
  DType dtype = DType::kF16;  // how the matrices are stored
  Matrix token_embedding;     // C -> V     wte
  Vector position_embedding;  // [S, C]     wpe
  std::vector<LayerWeights> layers;
  Vector ln_f_gain, ln_f_bias;  // [C]
  Matrix head;                  // C -> V     lm_head, usually wte itself

  /// Loads the checkpoint into `backend`, matrices stored as `dtype`. Throws Error.
  static Model load(const ModelFiles& files, Backend& backend, DType dtype);
};

/// A KV cache and the activations of one forward pass, all allocated here.
class Session {
 public:
  struct Limits {
    std::int64_t slots = 1;    // sequences held at once
    std::int64_t context = 0;  // positions per slot; 0 = the model's
    std::int64_t pages = 0;    // of the KV cache; 0 = enough for every slot
    std::int64_t rows = 256;   // most rows in one step
    std::int64_t wanted = 1;   // most rows of a step whose logits are asked for
  };

  Session(const Model& model, Backend& backend, Limits limits);

  /// Runs `rows` through the model and returns the logits [wanted, V] of rows[wanted[i]], valid
  /// until the next call. Sizes must keep within limits(); rows must be valid for the model.
  std::span<const float> forward(std::span<const Row> rows, std::span<const std::int32_t> wanted,
                                 const PageTable& table);
  /// The same with the slots' pages one behind the other, for limits().pages = 0.
  std::span<const float> forward(std::span<const Row> rows, std::span<const std::int32_t> wanted);

  /// Whether `launch` may be used with these options.
  bool draws(const SamplingOptions& options) const {
    return backend_.draws(options, model_.config.vocab);
  }
  /// Starts a step and the drawing of a token for each wanted row, without waiting for either
  /// (Backend::draw). Rows may have kDrawnToken.
  void launch(std::span<const Row> rows, std::span<const std::int32_t> wanted,
              const PageTable& table, std::span<const Draw> draws);
  /// The tokens of the earliest launch that are not collected yet.
  std::span<const std::int32_t> drawn() { return backend_.drawn(); }

  void copy_pages(std::span<const PageCopy> copies) { backend_.copy_pages(cache_, copies); }

  const Limits& limits() const { return limits_; }
  const Model& model() const { return model_; }

 private:
  Tensor run(std::span<const Row> rows, std::span<const std::int32_t> wanted,
             const PageTable& table);

  const Model& model_;
  Backend& backend_;
  Limits limits_;
  KvCache cache_;
  std::vector<std::int32_t> own_pages_;  // [slots, ceil(context / kPagePositions)]: 0, 1, 2, ...
  Buffer memory_;                        // all activations
  Tensor x_, normed_, qkv_, attended_, inner_,
      last_;       // [rows, C | C | 3C | C | inner], [wanted, C]
  Tensor logits_;  // [wanted, V]
};

}  // namespace aira
