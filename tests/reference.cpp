#include "reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace aira::reference {
namespace {

constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
/// Steepest slope of any activation here (GELU's is 1.13 at x = 1.4).
constexpr double kSteepest = 1.13;
/// Roundings inside an activation: exp, division, a short polynomial.
constexpr double kActivationRoundings = 16;

}  // namespace

double activate(double x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kGeluErf:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
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
      double tolerance = (kUnit * static_cast<double>(shape.in + 2) + shape.input_unit) * magnitude;
      if (shape.activation != Activation::kNone) {
        // An activation near its zero is as exact as its argument's magnitude allows.
        tolerance = kSteepest * tolerance + kUnit * kActivationRoundings * std::abs(sum);
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
