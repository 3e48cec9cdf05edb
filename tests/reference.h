// Every operation of Backend in plain double precision, with a bound on how far a float32
// implementation may be from it: the unit roundoff times the number of roundings, times the sum of
// the magnitudes that were added (Higham, "Accuracy and Stability of Numerical Algorithms", ch. 3).
#pragma once

#include <cstdint>
#include <vector>

#include "model/backend.h"

namespace aira::reference {

using Numbers = std::vector<double>;

/// Half a unit in the last place of f16, relative: what rounding to it may cost.
constexpr double kHalfUnit = 0x1p-11;

/// Values and, for each, how far off a float32 result may be.
struct Result {
  Numbers value;
  Numbers tolerance;
};

struct Linear {
  std::int64_t rows, in, out;
  Activation activation = Activation::kNone;
  bool bias = false;
  bool residual = false;
  double input_unit = 0;  // how far inputs may be rounded before they are multiplied
  /// Sums that are rounded for each output, when not every product is: the groups of int8.
  std::int64_t chain = 0;
};
/// x [rows, in], w [in, out], bias [out], residual [rows, out].
Result linear(const Linear& shape, const Numbers& x, const Numbers& w, const Numbers& bias,
              const Numbers& residual);

/// What int8 makes of inputs [rows, in] and of weights [in, out]: numbers that are exactly a whole
/// number times the scale of their group of `group` inputs.
Numbers int8_inputs(const std::vector<float>& x, std::int64_t in, std::int64_t group);
Numbers int8_weights(const std::vector<float>& w, std::int64_t out, std::int64_t group);
/// The same for weights [out, in].
Numbers int8_embeddings(const std::vector<float>& w, std::int64_t in, std::int64_t group);

/// How far x W in int8 may be from x W, for each output: half a step of the inputs and of the
/// weights each.
Numbers int8_error(const Linear& shape, const std::vector<float>& x, const std::vector<float>& w,
                   std::int64_t group);

/// x [rows, width].
Result layernorm(std::int64_t rows, std::int64_t width, const Numbers& x, const Numbers& gain,
                 const Numbers& bias, double epsilon);

/// One head: q [size], keys and values [positions, size]; `unit` is how far queries, keys, values
/// and weights may be rounded.
Result attention(std::int64_t positions, std::int64_t size, const Numbers& q, const Numbers& keys,
                 const Numbers& values, double scale, double unit);

double activate(double x, Activation activation);

}  // namespace aira::reference
