// The parameters of a GPT-2, their names and shapes: in one place for loading, counting, and
// writing and reading packed weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model.h"

namespace aira {

inline constexpr const char* kHeadName = "lm_head.weight";

/// Calls visit.matrix(name, matrix, in, out, out_major) and visit.vector(name, vector, shape) for
/// everything in `model` but the head, in the order of the forward pass. `out_major`: a table of
/// `out` rows of `in` numbers (token embeddings); else a Conv1D, stored [in, out]. `model`, whose
/// configuration must be set and whose layers must be there, is a Model or a const Model.
template <typename ModelType, typename Visitor>
void each_parameter(ModelType& model, Visitor& visit) {
  const std::int64_t c = model.config.width;
  const std::int64_t ffn = model.config.ffn_width;
  const auto shape = [](auto... sizes) { return std::vector<std::int64_t>{sizes...}; };
  visit.matrix("wte.weight", model.token_embedding, c, model.config.vocab, true);
  visit.vector("wpe.weight", model.position_embedding, shape(model.config.context, c));
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const std::string prefix = "h." + std::to_string(l) + ".";
    auto& w = model.layers[l];
    visit.vector(prefix + "ln_1.weight", w.ln_1_gain, shape(c));
    visit.vector(prefix + "ln_1.bias", w.ln_1_bias, shape(c));
    visit.matrix(prefix + "attn.c_attn.weight", w.attn_qkv, c, 3 * c, false);
    visit.vector(prefix + "attn.c_attn.bias", w.attn_qkv_bias, shape(3 * c));
    visit.matrix(prefix + "attn.c_proj.weight", w.attn_out, c, c, false);
    visit.vector(prefix + "attn.c_proj.bias", w.attn_out_bias, shape(c));
    visit.vector(prefix + "ln_2.weight", w.ln_2_gain, shape(c));
    visit.vector(prefix + "ln_2.bias", w.ln_2_bias, shape(c));
    visit.matrix(prefix + "mlp.c_fc.weight", w.mlp_in, c, ffn, false);
    visit.vector(prefix + "mlp.c_fc.bias", w.mlp_in_bias, shape(ffn));
    visit.matrix(prefix + "mlp.c_proj.weight", w.mlp_out, ffn, c, false);
    visit.vector(prefix + "mlp.c_proj.bias", w.mlp_out_bias, shape(c));
  }
  visit.vector("ln_f.weight", model.ln_f_gain, shape(c));
  visit.vector("ln_f.bias", model.ln_f_bias, shape(c));
}

/// The number of parameters of the model in `files`; the head counts when it is not the token
/// embeddings. Reads headers, and the head if there is one. Throws Error.
std::int64_t count_parameters(const ModelFiles& files);

}  // namespace aira
