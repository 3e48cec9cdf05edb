// What config.json and generation_config.json of a GPT-2 checkpoint say, checked. Field names and
// defaults are those of transformers' GPT2Config and GenerationConfig.
#pragma once

#include <cstdint>
#include <optional>
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
  // Ids of special tokens, each below vocab; ids beyond it are left out, for they cannot occur.
  std::optional<std::int32_t> bos;  // bos_token_id
  std::vector<std::int32_t> eos;    // eos_token_id (one or a list)
  std::optional<std::int32_t> pad;  // pad_token_id

  std::int64_t head_size() const { return width / heads; }  // D
};

/// What the model's authors want by default; empty where they do not say. Values are in the ranges
/// of SamplingOptions; token ids are not negative, but may lie beyond the vocabulary.
struct GenerationConfig {
  std::optional<bool> do_sample;
  std::optional<double> temperature;
  std::optional<std::int64_t> top_k;
  std::optional<double> top_p;
  std::optional<double> repetition_penalty;
  std::optional<std::int64_t> max_new_tokens;
  std::optional<std::int32_t> bos;
  std::vector<std::int32_t> eos;
  std::optional<std::int32_t> pad;
};

/// Reads config.json. Throws Error naming the file, the key and what was expected; what this
/// program does not support (another architecture, cross-attention, an unknown activation) is
/// refused by name. Keys that do not change the forward pass (dropouts, summary_*) are ignored.
ModelConfig read_model_config(const ModelFiles& files);

/// Reads generation_config.json; every field is empty when there is none.
GenerationConfig read_generation_config(const ModelFiles& files);

}  // namespace aira
