// A Backend that computes every operation in double precision by reference.h, on host memory, with
// weights and inputs of linear maps in int8 where asked for: what a model should give, storage
// types included.
#pragma once

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <tuple>
#include <vector>

#include "base/half.h"
#include "reference.h"

namespace aira {

class ReferenceBackend final : public Backend {
 public:
  /// Inputs of int8 weights are rounded to int8, if at all, after they are moved by this share of
  /// themselves, up or down at random.
  explicit ReferenceBackend(float nudge = 0, bool rounds_inputs = true)
      : Backend("reference"), nudge_(nudge), rounds_inputs_(rounds_inputs) {}

  Buffer alloc(std::int64_t bytes, const void* contents) override {
    const Buffer memory(std::malloc(static_cast<std::size_t>(bytes)), std::free);
    if (contents != nullptr) std::memcpy(memory.get(), contents, static_cast<std::size_t>(bytes));
    return memory;
  }
  /// `data` is a Numbers [in, out].
  Matrix load_matrix(const HostTensor& source, DType dtype) override {
    const std::vector<float> stored = floats(source.data, source.dtype, source.in() * source.out());
    std::vector<float> w(stored.size());
    for (std::int64_t k = 0; k < source.in(); ++k) {
      for (std::int64_t o = 0; o < source.out(); ++o) {
        w[k * source.out() + o] =
            stored[source.out_major ? o * source.in() + k : k * source.out() + o];
      }
    }
    const bool int8 = dtype == DType::kI8;
    return {
        std::make_shared<reference::Numbers>(int8 ? reference::int8_weights(w, source.out(), kGroup)
                                                  : reference::Numbers(w.begin(), w.end())),
        dtype, source.in(), source.out()};
  }
  Vector load_vector(const HostTensor& source) override {
    const auto numbers =
        std::make_shared<std::vector<float>>(floats(source.data, source.dtype, source.size()));
    return {std::shared_ptr<const float>(numbers, numbers->data()), source.size()};
  }
  StepRows reserve(const StepLimits& limits) override { return {limits.rows, limits.output_rows}; }
  KvCache make_cache(KvCache shape) override { return shape; }
  void copy_pages(const KvCache& /*cache*/, std::span<const PageCopy> /*copies*/) override {}
  void begin(std::span<const Row> rows, std::span<const std::int32_t> output_rows,
             const PageTable& /*table*/) override {
    rows_.assign(rows.begin(), rows.end());
    output_rows_.assign(output_rows.begin(), output_rows.end());
  }
  void end() override {}
  std::span<const float> read(const Tensor& tensor) override {
    return {tensor.data, static_cast<std::size_t>(tensor.rows * tensor.cols)};
  }

  void embed(const Matrix& tokens, const Vector& positions, Tensor out) override {
    for (std::int64_t t = 0; t < out.rows; ++t) {
      const Row& row = rows_[static_cast<std::size_t>(t)];
      for (std::int64_t c = 0; c < out.cols; ++c) {
        out.data[t * out.cols + c] =
            static_cast<float>(weights(tokens)[c * tokens.out + row.token] +
                               positions.data.get()[row.position * out.cols + c]);
      }
    }
  }
  void layernorm(Tensor x, const Vector& gain, const Vector& bias, float epsilon, Tensor out,
                 RowSet rows) override {
    for (std::int64_t t = 0; t < out.rows; ++t) {
      const std::int64_t from =
          rows == RowSet::kOutput ? output_rows_[static_cast<std::size_t>(t)] : t;
      const float* row = x.data + from * x.cols;
      put(reference::layernorm(1, x.cols, {row, row + x.cols}, numbers(gain), numbers(bias),
                               epsilon),
          out.data + t * x.cols);
    }
  }
  void linear(Tensor x, const Matrix& matrix, const Epilogue& epilogue, Tensor out) override {
    std::vector<float> inputs(x.data, x.data + x.rows * x.cols);
    if (nudge_ != 0) {
      for (float& number : inputs) number *= 1 + (random_() % 2 == 0 ? nudge_ : -nudge_);
    }
    const float* residual = epilogue.residual.data;
    put(reference::linear({x.rows, matrix.in, matrix.out, epilogue.activation,
                           epilogue.bias != nullptr, residual != nullptr},
                          matrix.dtype == DType::kI8 && rounds_inputs_
                              ? reference::int8_inputs(inputs, matrix.in, kGroup)
                              : reference::Numbers(inputs.begin(), inputs.end()),
                          weights(matrix),
                          epilogue.bias == nullptr ? reference::Numbers() : numbers(*epilogue.bias),
                          residual == nullptr
                              ? reference::Numbers()
                              : reference::Numbers(residual, residual + out.rows * out.cols)),
        out.data);
  }
  void attention(Tensor qkv, const KvCache& cache, std::int64_t layer, float scale,
                 Tensor out) override {
    const std::int64_t size = cache.head_size;
    for (std::int64_t t = 0; t < out.rows; ++t) {
      const Row& row = rows_[static_cast<std::size_t>(t)];
      for (std::int64_t h = 0; h < cache.heads; ++h) {
        const float* q = qkv.data + t * qkv.cols + h * size;
        auto& [keys, values] = history_[{layer, row.slot, h}];
        const auto until = static_cast<std::size_t>(row.position * size);
        keys.resize(until);  // a position may be computed again
        values.resize(until);
        for (std::int64_t d = 0; d < size; ++d) {
          keys.push_back(stored(q[out.cols + d], cache.dtype));
          values.push_back(stored(q[2 * out.cols + d], cache.dtype));
        }
        put(reference::attention(row.position + 1, size, {q, q + size}, keys, values, scale, 0),
            out.data + t * out.cols + h * size);
      }
    }
  }

 private:
  static constexpr std::int64_t kGroup = 64;

  static float number(const std::byte* at, DType dtype) {
    if (dtype == DType::kF32) {
      float value = 0;
      std::memcpy(&value, at, sizeof value);
      return value;
    }
    std::uint16_t bits = 0;
    std::memcpy(&bits, at, sizeof bits);
    return dtype == DType::kF16 ? half_to_float(bits) : bfloat_to_float(bits);
  }
  static std::vector<float> floats(const std::shared_ptr<const std::byte>& source, DType dtype,
                                   std::int64_t count) {
    std::vector<float> all;
    for (std::int64_t i = 0; i < count; ++i) {
      all.push_back(number(source.get() + i * size_of(dtype), dtype));
    }
    return all;
  }
  static float stored(float x, DType dtype) {
    return dtype == DType::kF16 ? half_to_float(float_to_half(x)) : x;
  }
  static const reference::Numbers& weights(const Matrix& matrix) {
    return *static_cast<const reference::Numbers*>(matrix.data.get());
  }
  static reference::Numbers numbers(const Vector& vector) {
    return {vector.data.get(), vector.data.get() + vector.size};
  }
  static void put(const reference::Result& result, float* out) {
    for (const double x : result.value) *out++ = static_cast<float>(x);
  }

  float nudge_;
  bool rounds_inputs_;
  std::mt19937 random_;
  std::vector<Row> rows_;
  std::vector<std::int32_t> output_rows_;
  /// Keys and values by layer, slot and head.
  std::map<std::tuple<std::int64_t, std::int32_t, std::int64_t>,
           std::pair<reference::Numbers, reference::Numbers>>
      history_;
};

}  // namespace aira
