// What a device can do of the sampling options.
#pragma once

#include <optional>

#include "aira/generate.h"
#include "model/device_sampler.h"

namespace aira {

/// These options for a DeviceSampler; empty when they need the host's Sampler.
inline std::optional<DeviceDraw> device_draw(const SamplingOptions& options, double uniform) {
  SamplingOptions known;
  known.temperature = options.temperature;
  known.top_k = options.top_k;
  known.top_p = options.top_p;
  known.repetition_penalty = options.repetition_penalty;
  known.greedy = options.greedy;
  if (options != known) return std::nullopt;
  return DeviceDraw{.temperature = options.temperature,
                    .top_p = options.top_p,
                    .uniform = uniform,
                    .penalty = static_cast<float>(options.repetition_penalty),
                    .top_k = static_cast<std::int32_t>(options.top_k),
                    .greedy = options.greedy};
}

}  // namespace aira
