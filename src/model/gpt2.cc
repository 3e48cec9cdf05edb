// The forward pass of GPT-2, once, for every backend, and its memory. Radford et al., "Language
// Models are Unsupervised Multitask Learners" (2019), with the arithmetic of transformers'
// GPT2LMHeadModel.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

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

Session::Session(const Model& model, Backend& backend, Limits limits)
    : model_(model), backend_(backend), sampler_(backend.device_sampler()), limits_(limits) {
  const ModelConfig& config = model.config;
  const std::int64_t width = config.width;
  if (limits_.context == 0) limits_.context = config.context;
  assert(limits_.slots > 0 && limits_.rows > 0 && limits_.output_rows > 0);
  assert(limits_.context > 0 && limits_.context <= config.context);
  if (limits_.pages == 0) {
    limits_.pages = limits_.slots * ((limits_.context + kPagePositions - 1) / kPagePositions);
    own_pages_.resize(static_cast<std::size_t>(limits_.pages));
    std::iota(own_pages_.begin(), own_pages_.end(), 0);
  }
  cache_ = backend.make_cache({.layers = config.layers,
                               .pages = limits_.pages,
                               .heads = config.heads,
                               .head_size = config.head_size(),
                               .context = limits_.context,
                               .dtype = model.dtype == DType::kF32 ? DType::kF32 : DType::kF16,
                               .data = {}});
  const auto [rows, outputs] = backend.reserve({.rows = limits_.rows,
                                                .output_rows = limits_.output_rows,
                                                .slots = limits_.slots,
                                                .context = limits_.context,
                                                .heads = config.heads,
                                                .head_size = config.head_size(),
                                                .inputs = std::max(width, config.ffn_width),
                                                .outputs = std::max(3 * width, config.ffn_width),
                                                .vocab = config.vocab});
  const auto allocate = [&](std::int64_t count, std::int64_t cols) -> Tensor {
    memory_.push_back(backend.alloc(count * cols * size_of(DType::kF32)));
    return {static_cast<float*>(memory_.back().get()), count, cols};
  };
  x_ = allocate(rows, width);
  normed_ = allocate(rows, width);
  qkv_ = allocate(rows, 3 * width);
  attended_ = allocate(rows, width);
  ffn_ = allocate(rows, config.ffn_width);
  last_ = allocate(outputs, width);
  logits_ = allocate(outputs, config.vocab);
}

std::span<const float> Session::forward(std::span<const Row> rows,
                                        std::span<const std::int32_t> output_rows,
                                        const PageTable& table) {
  return backend_.read(run(rows, output_rows, table, false));
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

  const auto own_width = static_cast<std::int64_t>(own_pages_.size()) / limits_.slots;
  backend_.begin(rows, output_rows, table.width > 0 ? table : PageTable{own_pages_, own_width});
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
