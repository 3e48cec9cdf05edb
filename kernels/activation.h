// The activations of GPT-2's family, on one number.
#pragma once

#include "kernels/device.h"
#include "model/backend.h"

namespace aira::cuda {

/// x / (1 + e^-y).
__device__ __forceinline__ float times_sigmoid(float x, float y) { return x / (1.0F + expf(-y)); }

__device__ __forceinline__ float gelu(float x) { return 0.5F * x * erfcf(x * -0.70710678F); }

/// Between 0 and 6; NaN stays NaN.
__device__ __forceinline__ float clip6(float x) { return x < 0.0F ? 0.0F : x > 6.0F ? 6.0F : x; }

__device__ __forceinline__ float activate(float x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGeluTanh:
      // 0.5 (1 + tanh u) = 1 / (1 + e^-2u): nothing cancels for negative x. The exponent is kept
      // where e^ is a finite number.
      return times_sigmoid(x, fmaxf(1.5957691216F * (x + 0.044715F * x * x * x), -80.0F));
    case Activation::kGeluErf:
      return gelu(x);
    case Activation::kGelu10:
      return gelu(x) > 10.0F ? 10.0F : gelu(x);
    case Activation::kQuickGelu:
      return times_sigmoid(x, fmaxf(1.702F * x, -80.0F));
    case Activation::kRelu:
      return x < 0.0F ? 0.0F : x;
    case Activation::kRelu2:
      return x < 0.0F ? 0.0F : x * x;
    case Activation::kRelu6:
      return clip6(x);
    case Activation::kLeakyRelu:
      return x < 0.0F ? 0.01F * x : x;
    case Activation::kSilu:
      return times_sigmoid(x, fmaxf(x, -80.0F));
    case Activation::kHardSwish:
      return x * clip6(x + 3.0F) / 6.0F;
    case Activation::kMish: {
      // tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); from 20 on that is 1.
      const float e = expf(fminf(x, 20.0F));
      const float n = e * (e + 2.0F);
      return x * (n / (n + 2.0F));
    }
    case Activation::kSigmoid:
      return times_sigmoid(1.0F, fmaxf(x, -80.0F));
    case Activation::kTanh:
      return tanhf(x);
    case Activation::kLaplace:  // the normal distribution with mean 0.707107, deviation 0.282095
      return 0.5F * erfcf((x - 0.707107F) * (-0.70710678F / 0.282095F));
    case Activation::kSqrtSoftplus:
      return sqrtf(x > 20.0F ? x : log1pf(expf(x)));
  }
  return x;
}

}  // namespace aira::cuda
