// The activations of GPT-2's family, on one number.
#pragma once

#include "kernels/device.h"
#include "model/backend.h"

namespace aira::cuda {

/// x / (1 + e^-y).
__device__ __forceinline__ float times_sigmoid(float x, float y) { return x / (1.0F + expf(-y)); }

__device__ __forceinline__ float activate(float x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGeluTanh:
      // 0.5 (1 + tanh u) = 1 / (1 + e^-2u): nothing cancels for negative x. The exponent is kept
      // where e^ is a finite number.
      return times_sigmoid(x, fmaxf(1.5957691216F * (x + 0.044715F * x * x * x), -80.0F));
    case Activation::kGeluErf:
      return 0.5F * x * erfcf(x * -0.70710678F);
    case Activation::kRelu:
      return x < 0.0F ? 0.0F : x;
    case Activation::kSilu:
      return times_sigmoid(x, fmaxf(x, -80.0F));
  }
  return x;
}

}  // namespace aira::cuda
