// Every operation of Backend in plain double precision, with a bound on how far a float32
// implementation may be from it: the unit roundoff times the number of roundings, times the sum of
// the magnitudes that were added (Higham, "Accuracy and Stability of Numerical Algorithms", ch. 3).
#pragma once

#include <cstdint>
#include <vector>

#include "aira/backend.h"

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
};
/// x [rows, in], w [in, out], bias [out], residual [rows, out].
Result linear(const Linear& shape, const Numbers& x, const Numbers& w, const Numbers& bias,
              const Numbers& residual);

/// x [rows, width].
Result layernorm(std::int64_t rows, std::int64_t width, const Numbers& x, const Numbers& gain,
                 const Numbers& bias, double epsilon);

/// One head: q [size], keys and values [positions, size]; `unit` is how far queries, keys, values
/// and weights may be rounded.
Result attention(std::int64_t positions, std::int64_t size, const Numbers& q, const Numbers& keys,
                 const Numbers& values, double scale, double unit);

double activate(double x, Activation activation);

}  // namespace aira::reference
