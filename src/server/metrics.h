// What GET /metrics tells, in Prometheus's text format (version 0.0.4).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "aira/generate.h"

namespace aira {

/// Seconds, in buckets.
class Histogram {
 public:
  void add(double seconds);
  /// The lines of the metric `name`.
  std::string lines(const std::string& name, const std::string& help) const;

 private:
  static constexpr std::array<double, 14> kBounds = {
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60};
  std::array<std::uint64_t, kBounds.size() + 1> counts_ = {};
  double sum_ = 0;
};

class Metrics {
 public:
  void answered(const std::string& endpoint, int status) { ++requests_[{endpoint, status}]; }
  /// `state`: "queue", "prompt" or "decode".
  void cancelled(const std::string& state) { ++cancelled_[state]; }
  void add_answer(const Answer& answer);
  /// All of it. `running` and `queued` are requests; `labels` describe the program and the model.
  std::string text(std::int64_t running, std::int64_t queued, std::int64_t connections,
                   const std::vector<std::pair<std::string, std::string>>& labels) const;

  Histogram queue_seconds;
  Histogram first_token_seconds;  // from the request's arrival
  Histogram token_seconds;        // each after the first, a mean for each answer

 private:
  std::map<std::pair<std::string, int>, std::uint64_t> requests_;
  std::map<std::string, std::uint64_t> cancelled_ = {{"queue", 0}, {"prompt", 0}, {"decode", 0}};
  std::uint64_t prompt_tokens_ = 0;
  std::uint64_t generated_tokens_ = 0;
};

}  // namespace aira
