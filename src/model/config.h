// What config.json of a GPT-2 checkpoint says, checked. Field names and defaults are those of
// transformers' GPT2Config.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "aira/model_files.h"
#include "model/backend.h"

namespace aira {

/// The network's shape. Every number is positive and heads divides width.
struct ModelConfig {
  std::int64_t layers = 0;                        // n_layer
  std::int64_t width = 0;                         // n_embd, C
  std::int64_t heads = 0;                         // n_head, H
  std::int64_t context = 0;                       // n_positions, S
  std::int64_t vocab = 0;                         // vocab_size, V
  std::int64_t ffn_width = 0;                     // n_inner, else 4 C
  float epsilon = 1e-5F;                          // layer_norm_epsilon
  Activation activation = Activation::kGeluTanh;  // activation_function
  bool scale_attention = true;                    // scale_attn_weights
  bool scale_attention_by_inverse_layer = false;  // scale_attn_by_inverse_layer_idx
  bool tied_head = true;                          // tie_word_embeddings
  /// eos_token_id (one or a list); ids beyond the vocabulary are left out, for they cannot occur.
  std::vector<std::int32_t> eos;
  /// The whole file, which may also say how to generate: it is read once.
  std::shared_ptr<const nlohmann::json> file;

  std::int64_t head_size() const { return width / heads; }  // D
};

/// Reads config.json. Throws Error naming the file, the key and what was expected; what this
/// program does not support (another architecture, cross-attention, an unknown activation) is
/// refused by name. Keys that do not change the forward pass (dropouts, summary_*) are ignored.
ModelConfig read_model_config(const ModelFiles& files);

}  // namespace aira
