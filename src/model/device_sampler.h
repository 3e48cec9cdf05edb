// Sampling on the device that computes the logits, so that a token need not pass through the host
// before the next step starts.
#pragma once

#include <cstdint>
#include <span>

#include "model/tensor.h"

namespace aira {

/// A row's token in a step (Row::token) when it is the one drawn last for the row's slot.
inline constexpr std::int32_t kDrawnToken = -1;
/// Drawn instead of a token when no logit of the row is a finite number.
inline constexpr std::int32_t kNotDrawn = -2;

/// How to draw one token; the rules are those of Sampler (src/run/sampler.h).
struct DeviceDraw {
  double temperature = 1;
  double top_p = 1;
  double uniform = 0;  // the random number, in [0, 1)
  float penalty = 1;   // repetition penalty over the slot's positions 0..the row's own
  std::int32_t top_k = 1;
  bool greedy = false;
  bool log_probability = false;  // wanted as well
};

struct DrawnToken {
  std::int32_t id = 0;        // or kNotDrawn
  float log_probability = 0;  // of the model, before penalty, temperature and the rest; if wanted
};

class DeviceSampler {
 public:
  /// Draws that may be uncollected at a time.
  static constexpr int kDrawsAhead = 2;

  /// Whether the device can draw like this from a vocabulary of this size.
  virtual bool can_draw(const DeviceDraw& draw, std::int64_t vocab) const = 0;
  /// The step that begins next draws a token for each of its output rows like this.
  virtual void prepare(std::span<const DeviceDraw> draws) = 0;
  /// The last operation of that step; logits is [output rows, V]. The next step may begin, with
  /// kDrawnToken in its rows, before the tokens are collected.
  virtual void draw(Tensor logits) = 0;
  /// Waits for the earliest uncollected draw and returns its tokens, valid until the next draw().
  virtual std::span<const DrawnToken> drawn() = 0;

 protected:
  ~DeviceSampler() = default;
};

}  // namespace aira
