// Which outputs of a large linear map can be among a row's greatest, at the price of int8, and
// these alone computed as always: for a model's head, whose logits matter only as far as they can
// be drawn.
//
// With x the input, h + l its parts in int8 (h its quantised form, l that of x - h), w an output's
// weights and q their quantised form:
//   |w.x - q.(h + l)| <= |(w - q).x| + |q.(x - h - l)| <= ||w - q|| ||x|| + ||q|| ||x - h - l||,
// to which comes what the two sums in floats are rounded by, at most some units of ||w|| ||x||. The
// k-th greatest lower bound is no greater than the k-th greatest logit, so an output whose upper
// bound is below that is not among them. The panels of all others are computed by the very kernel
// that would have computed everything.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "aira/backend.h"
#include "base/thread_pool.h"
#include "cpu/kernels.h"
#include "cpu/quantized_memory.h"

namespace aira::cpu {

class Screening {
 public:
  /// `least_outputs`: a screen is made of matrices with so many outputs.
  Screening(ThreadPool& pool, const Kernels& kernels, std::int64_t least_outputs)
      : pool_(pool), kernels_(kernels), least_outputs_(least_outputs), workers_(pool.size()) {}

  /// Bytes of the screen of such a matrix; 0: it has none.
  std::int64_t bytes(std::int64_t in, std::int64_t out, DType dtype) const;
  /// Makes the screen of `weights` at `to`.
  void make(const Matrix& weights, std::byte* to);

  /// Backend::greatest, or false when it is better to compute all.
  bool greatest(Tensor x, const Matrix& weights, const Matrix& screen,
                std::span<const Shortlist> lists, Tensor out);

 private:
  /// The most rows that are screened.
  std::int64_t most_rows(DType dtype) const;

  /// What a member of the team works with.
  struct Worker {
    std::vector<float> dots, lower, upper, maxima, best, x, sums;
  };
  /// What the bounds of a row's dot products depend on.
  struct RowBound {
    bool bounded = true;
    double norm = 0;  // || x ||
    double left = 0;  // || x - h - l ||
  };

  void quantize(Tensor x);
  void quantize_row(const LinearJob& job, Tensor x, std::int64_t row);
  void screen_all(const Matrix& screen, Tensor out);
  void mark(const Matrix& screen, const Shortlist& list, std::int64_t row, int member, Tensor out);
  void compute_marked(Tensor x, const Matrix& weights, Tensor out);
  void compute_panel(Tensor x, const Matrix& weights, std::int64_t panel, Worker& worker,
                     Tensor out);

  ThreadPool& pool_;
  const Kernels& kernels_;
  std::int64_t least_outputs_;
  std::vector<Worker> workers_;
  std::vector<float> parts_;              // [2 rows, in]: x, then what quantising has left of it
  QuantizedMemory quantized_;             // of parts_
  LinearJob screened_;                    // of quantized_
  std::vector<RowBound> bounds_;          // [rows]
  std::vector<std::uint8_t> marks_;       // [panels, rows]
  std::vector<std::int32_t> to_compute_;  // panels that some row has marked
};

}  // namespace aira::cpu
