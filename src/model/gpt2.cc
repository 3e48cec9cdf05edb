// The forward pass of GPT-2, once, for every backend.
// Radford et al., "Language Models are Unsupervised Multitask Learners" (2019); the arithmetic is
// that of transformers' GPT2LMHeadModel.
#include <cassert>
#include <cmath>

#include "model/model.h"

namespace aira {
namespace {

/// The factor of q k^T in `layer`.
float attention_scale(const ModelConfig& config, std::int64_t layer) {
  double scale = 1;
  if (config.scale_attention) scale /= std::sqrt(static_cast<double>(config.head_size()));
  if (config.scale_attention_by_inverse_layer) scale /= static_cast<double>(layer + 1);
  return static_cast<float>(scale);
}

}  // namespace

std::span<const float> Session::forward(std::span<const Row> rows,
                                        std::span<const std::int32_t> output_rows,
                                        const PageTable& table) {
  return backend_.read(run(rows, output_rows, table, false));
}

std::span<const float> Session::forward(std::span<const Row> rows,
                                        std::span<const std::int32_t> output_rows) {
  assert(!own_pages_.empty());
  return forward(rows, output_rows,
                 {own_pages_, static_cast<std::int64_t>(own_pages_.size()) / limits_.slots});
}

void Session::launch(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
                     const PageTable& table, std::span<const DeviceDraw> draws) {
  assert(draws.size() == output_rows.size());
  sampler_->prepare(draws);
  run(rows, output_rows, table, true);
}

/// Returns the logits.
Tensor Session::run(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
                    const PageTable& table, bool draw) {
  const ModelConfig& config = model_.config;
  const auto count = static_cast<std::int64_t>(rows.size());
  const auto outputs = static_cast<std::int64_t>(output_rows.size());
  assert(count <= limits_.rows && outputs <= limits_.output_rows);
  const Tensor x = x_.first(count);
  const Tensor normed = normed_.first(count);
  const Tensor qkv = qkv_.first(count);
  const Tensor attended = attended_.first(count);
  const Tensor ffn = ffn_.first(count);
  const Tensor last = last_.first(outputs);
  const Tensor logits = logits_.first(outputs);
  const float epsilon = config.epsilon;

  backend_.begin(rows, output_rows, table);
  backend_.embed(model_.token_embedding, model_.position_embedding, x);
  for (std::int64_t l = 0; l < config.layers; ++l) {
    const LayerWeights& layer = model_.layers[static_cast<std::size_t>(l)];
    backend_.layernorm(x, layer.ln_1_gain, layer.ln_1_bias, epsilon, normed);
    backend_.linear(normed, layer.attn_qkv, {.bias = &layer.attn_qkv_bias}, qkv);
    backend_.attention(qkv, cache_, l, attention_scale(config, l), attended);
    backend_.linear(attended, layer.attn_out, {.bias = &layer.attn_out_bias, .residual = x}, x);
    backend_.layernorm(x, layer.ln_2_gain, layer.ln_2_bias, epsilon, normed);
    backend_.linear(normed, layer.mlp_in,
                    {.bias = &layer.mlp_in_bias, .activation = config.activation}, ffn);
    backend_.linear(ffn, layer.mlp_out, {.bias = &layer.mlp_out_bias, .residual = x}, x);
  }
  backend_.layernorm(x, model_.ln_f_gain, model_.ln_f_bias, epsilon, last, RowSet::kOutput);
  backend_.linear(last, model_.head, {}, logits);
  if (draw) sampler_->draw(logits);
  backend_.end();
  return logits;
}

}  // namespace aira
