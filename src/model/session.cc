// Memory of a Session: the KV cache and one allocation for all activations.
#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

#include "model/model.h"

namespace aira {

Session::Session(const Model& model, Backend& backend, Limits limits)
    : model_(model), backend_(backend), sampler_(backend.device_sampler()), limits_(limits) {
  const ModelConfig& config = model.config;
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
  const std::int64_t width = config.width;
  const auto [rows, outputs] = backend.reserve({.rows = limits_.rows,
                                                .output_rows = limits_.output_rows,
                                                .slots = limits_.slots,
                                                .context = limits_.context,
                                                .heads = config.heads,
                                                .head_size = config.head_size(),
                                                .inputs = std::max(width, config.ffn_width),
                                                .outputs = std::max(3 * width, config.ffn_width),
                                                .vocab = config.vocab});
  const std::pair<Tensor*, Tensor> plan[] = {
      {&x_, {nullptr, rows, width}},
      {&normed_, {nullptr, rows, width}},
      {&qkv_, {nullptr, rows, 3 * width}},
      {&attended_, {nullptr, rows, width}},
      {&ffn_, {nullptr, rows, config.ffn_width}},
      {&last_, {nullptr, outputs, width}},
      {&logits_, {nullptr, outputs, config.vocab}},
  };
  // Each tensor begins on a 64-byte boundary.
  constexpr std::int64_t kLine = 16;  // floats
  std::int64_t floats = 0;
  for (const auto& [tensor, shape] : plan) {
    floats += (shape.rows * shape.cols + kLine - 1) / kLine * kLine;
  }
  memory_ = backend.alloc(floats * size_of(DType::kF32));
  auto* at = static_cast<float*>(memory_.get());
  for (const auto& [tensor, shape] : plan) {
    *tensor = shape;
    tensor->data = at;
    at += (shape.rows * shape.cols + kLine - 1) / kLine * kLine;
  }
}

}  // namespace aira
