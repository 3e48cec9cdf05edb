#include "reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace aira::reference {
namespace {

constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
/// Steepest slope of an activation up to x (hardswish's is 1.5 at x = 3).
double steepest(Activation activation, double x) {
  return activation == Activation::kRelu2 ? 2 * std::max(x, 1.0) : 1.5;
}
/// Roundings inside an activation: exp, division, a short polynomial.
constexpr double kActivationRoundings = 16;

/// The scale for numbers up to `largest`: a 127th of it; that of weights is rounded up to 8 bits.
float int8_scale(float largest, bool weights) {
  if (largest < 0x1p-100F) return 0;
  const float scale = largest / 127.0F;
  if (!weights) return scale;
  int exponent = 0;
  const double fraction = std::frexp(static_cast<double>(scale), &exponent);
  return static_cast<float>(std::ldexp(std::ceil(fraction * 256), exponent - 8));
}

/// The largest magnitude of `count` numbers that lie `stride` apart.
float largest_of(const float* x, std::int64_t count, std::int64_t stride) {
  float largest = 0;
  for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(x[i * stride]));
  return largest;
}

/// Groups along the first index of x, [in, stride]; weights are divided by their rounded scale.
void through_int8(const float* x, std::int64_t in, std::int64_t stride, std::int64_t group,
                  bool weights, double* to) {
  for (std::int64_t first = 0; first < in; first += group) {
    const std::int64_t count = std::min(group, in - first);
    const float largest = largest_of(x + first * stride, count, stride);
    const float scale = int8_scale(largest, weights);
    const float inverse = scale == 0 ? 0 : weights ? 1.0F / scale : 127.0F / largest;
    for (std::int64_t k = first; k < first + count; ++k) {
      const float whole = std::nearbyint(x[k * stride] * inverse);
      to[k * stride] = static_cast<double>(whole) * scale;
    }
  }
}

}  // namespace

Numbers int8_inputs(const std::vector<float>& x, std::int64_t in, std::int64_t group) {
  Numbers result(x.size());
  for (std::size_t row = 0; row < x.size(); row += in) {
    through_int8(x.data() + row, in, 1, group, false, result.data() + row);
  }
  return result;
}

Numbers int8_weights(const std::vector<float>& w, std::int64_t out, std::int64_t group) {
  Numbers result(w.size());
  for (std::int64_t o = 0; o < out; ++o) {
    through_int8(w.data() + o, static_cast<std::int64_t>(w.size()) / out, out, group, true,
                 result.data() + o);
  }
  return result;
}

Numbers int8_embeddings(const std::vector<float>& w, std::int64_t in, std::int64_t group) {
  Numbers result(w.size());
  for (std::size_t row = 0; row < w.size(); row += in) {
    through_int8(w.data() + row, in, 1, group, true, result.data() + row);
  }
  return result;
}

Numbers int8_error(const Linear& shape, const std::vector<float>& x, const std::vector<float>& w,
                   std::int64_t group) {
  Numbers result;
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    for (std::int64_t o = 0; o < shape.out; ++o) {
      double error = 0;
      for (std::int64_t first = 0; first < shape.in; first += group) {
        const std::int64_t count = std::min(group, shape.in - first);
        const float* inputs = x.data() + r * shape.in + first;
        const float* weights = w.data() + first * shape.out + o;
        // Half a step, and 2^-7 more for scales that are rounded up to 8 bits.
        const double dx = largest_of(inputs, count, 1) / 254.0;
        const double dw = largest_of(weights, count, shape.out) / 254.0 * (1 + 0x1p-7);
        for (std::int64_t k = 0; k < count; ++k) {
          error += std::abs(inputs[k]) * dw + std::abs(weights[k * shape.out]) * dx + dx * dw;
        }
      }
      result.push_back(error);
    }
  }
  return result;
}

double activate(double x, Activation activation) {
  const double gelu = 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kGeluErf:
      return gelu;
    case Activation::kGelu10:
      return std::clamp(gelu, -10.0, 10.0);
    case Activation::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kRelu2:
      return std::pow(std::max(x, 0.0), 2);
    case Activation::kRelu6:
      return std::clamp(x, 0.0, 6.0);
    case Activation::kLeakyRelu:
      return x >= 0 ? x : 0.01 * x;
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kHardSwish:
      return x * std::clamp(x + 3, 0.0, 6.0) / 6;
    case Activation::kMish:
      return x * std::tanh(std::log1p(std::exp(x)));
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kLaplace:
      return 0.5 * std::erfc((0.707107 - x) / (0.282095 * std::sqrt(2.0)));
    case Activation::kSqrtSoftplus:
      return std::sqrt(std::log1p(std::exp(x)));
  }
  return x;
}

Result linear(const Linear& shape, const Numbers& x, const Numbers& w, const Numbers& bias,
              const Numbers& residual) {
  Result result;
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    for (std::int64_t o = 0; o < shape.out; ++o) {
      double sum = shape.bias ? bias[o] : 0;
      double magnitude = std::abs(sum);
      for (std::int64_t k = 0; k < shape.in; ++k) {
        const double product = x[r * shape.in + k] * w[k * shape.out + o];
        sum += product;
        magnitude += std::abs(product);
      }
      double y = activate(sum, shape.activation);
      // Each link of the chain in int8 rounds its scale, too.
      const std::int64_t roundings = shape.chain == 0 ? shape.in + 2 : shape.chain + 3;
      double tolerance = (kUnit * static_cast<double>(roundings) + shape.input_unit) * magnitude;
      if (shape.activation != Activation::kNone) {
        // An activation near its zero is as exact as its argument's magnitude allows.
        const double size = std::max(std::abs(sum), std::abs(y));
        tolerance = steepest(shape.activation, std::abs(sum) + tolerance) * tolerance +
                    kUnit * kActivationRoundings * size;
      }
      if (shape.residual) {
        y += residual[r * shape.out + o];
        tolerance += kUnit * (std::abs(y) + std::abs(residual[r * shape.out + o]));
      }
      result.value.push_back(y);
      result.tolerance.push_back(tolerance + 1e-37);  // exp stops at the smallest normal number
    }
  }
  return result;
}

Result layernorm(std::int64_t rows, std::int64_t width, const Numbers& x, const Numbers& gain,
                 const Numbers& bias, double epsilon) {
  Result result;
  const auto n = static_cast<double>(width);
  for (std::int64_t r = 0; r < rows; ++r) {
    double mean = 0;
    double magnitude = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      mean += x[r * width + i] / n;
      magnitude += std::abs(x[r * width + i]) / n;
    }
    double variance = 0;
    for (std::int64_t i = 0; i < width; ++i) {
      variance += (x[r * width + i] - mean) * (x[r * width + i] - mean) / n;
    }
    const double deviation = std::sqrt(variance + epsilon);
    const double mean_error = kUnit * (n + 1) * magnitude;
    for (std::int64_t i = 0; i < width; ++i) {
      const double centered = x[r * width + i] - mean;
      result.value.push_back(centered / deviation * gain[i] + bias[i]);
      result.tolerance.push_back(
          std::abs(gain[i]) / deviation *
              (2 * mean_error + kUnit * (n + 8) * (std::abs(centered) + mean_error)) +
          kUnit * 4 * (std::abs(result.value.back()) + std::abs(bias[i])));
    }
  }
  return result;
}

Result attention(std::int64_t positions, std::int64_t size, const Numbers& q, const Numbers& keys,
                 const Numbers& values, double scale, double unit) {
  Numbers scores(positions);
  double score_error = 0;
  for (std::int64_t j = 0; j < positions; ++j) {
    double magnitude = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      scores[j] += q[i] * keys[j * size + i] * scale;
      magnitude += std::abs(q[i] * keys[j * size + i] * scale);
    }
    score_error =
        std::max(score_error, (kUnit * static_cast<double>(size + 3) + 2 * unit) * magnitude);
  }
  const double highest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  double spread = 0;
  for (double& score : scores) {
    spread = std::max(spread, highest - score);
    score = std::exp(score - highest);
    sum += score;
  }
  // Relative error of a weight: scores, their difference, exp, the sum, the division.
  const double weight_error =
      2 * score_error + unit + kUnit * (spread + static_cast<double>(positions) + 16);
  Result result;
  for (std::int64_t i = 0; i < size; ++i) {
    double y = 0;
    double magnitude = 0;
    for (std::int64_t j = 0; j < positions; ++j) {
      y += scores[j] / sum * values[j * size + i];
      magnitude += std::abs(scores[j] / sum * values[j * size + i]);
    }
    result.value.push_back(y);
    result.tolerance.push_back(
        magnitude * (2 * weight_error + unit + kUnit * static_cast<double>(positions + 2)));
  }
  return result;
}

}  // namespace aira::reference
