#include "cpu/screening.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "aira/error.h"

namespace aira::cpu {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();
/// Products of norms from here on might overflow on the way.
constexpr double kLargest = 0x1p100;
/// More than what the roundings of the bounds themselves can take from them.
constexpr double kSlack = 1 + 0x1p-16;
/// Floats of screened dot products that stay in the first-level cache until they are added up.
constexpr std::int64_t kChunkFloats = 8192;
constexpr std::int64_t kMostChunkPanels = 16;

std::int64_t panels_of(std::int64_t out) { return round_up(out, kPanel) / kPanel; }

const float* errors_of(const Matrix& screen) {
  const auto* bytes = static_cast<const std::byte*>(screen.data.get());
  return reinterpret_cast<const float*>(bytes + packed_bytes(DType::kI8, screen.in, screen.out));
}
const float* norms_of(const Matrix& screen) {
  return errors_of(screen) + round_up(screen.out, kPanel);
}

/// The k-th greatest; -infinity when there are fewer. `maxima` are the panels'; `best` is scratch
/// memory.
float kth_greatest(std::span<const float> scores, std::span<const float> maxima, std::size_t k,
                   std::vector<float>& best) {
  best.clear();  // a heap, the least first
  float threshold = kNone;
  for (std::size_t p = 0; p < maxima.size(); ++p) {
    if (!(maxima[p] > threshold)) continue;
    const std::size_t first = p * kPanel;
    const std::size_t count = std::min<std::size_t>(kPanel, scores.size() - first);
    for (const float score : scores.subspan(first, count)) {
      if (!(score > threshold)) continue;
      if (best.size() == k) {
        std::pop_heap(best.begin(), best.end(), std::greater<>());
        best.pop_back();
      }
      best.push_back(score);
      std::push_heap(best.begin(), best.end(), std::greater<>());
      if (best.size() == k) threshold = best.front();
    }
  }
  return threshold;
}

/// What rounding can do to both sums, in units of || w || || x ||: one unit in the last place for
/// each step of their chains, and some for what turns them into bounds.
double rounding(std::int64_t in) {
  return (1.01 * static_cast<double>(in) + 2 * static_cast<double>(groups_of(in)) + 24) * 0x1p-24;
}

/// At least `x`, which is below kLargest, as a float that is not so small that products with it
/// lose digits.
float at_least(double x) {
  return static_cast<float>(std::clamp(x * kSlack, 1 / kLargest, 2 * kLargest));
}

}  // namespace

std::int64_t Screening::bytes(std::int64_t in, std::int64_t out, DType dtype) const {
  return out >= least_outputs_ && most_rows(dtype) > 0 ? screen_bytes(in, out) : 0;
}

std::int64_t Screening::most_rows(DType dtype) const {
  const ScreenedRows& rows = kernels_.screened_rows;
  return dtype == DType::kF32 ? rows.f32 : dtype == DType::kF16 ? rows.f16 : 0;
}

void Screening::make(const Matrix& weights, std::byte* to) {
  const Matrix screen{std::shared_ptr<const void>(std::shared_ptr<void>(), to), DType::kI8,
                      weights.in, weights.out};
  const ScreenJob job{.panels = weights.data.get(),
                      .dtype = weights.dtype,
                      .in = weights.in,
                      .weights = to,
                      .errors = const_cast<float*>(errors_of(screen)),
                      .norms = const_cast<float*>(norms_of(screen))};
  pool_.split(panels_of(weights.out), [&](std::int64_t begin, std::int64_t end, int /*member*/) {
    kernels_.screen(job, begin, end);
  });
}

bool Screening::greatest(Tensor x, const Matrix& weights, const Matrix& screen,
                         std::span<const Shortlist> lists, Tensor out) {
  const auto whole = std::count_if(lists.begin(), lists.end(), [&](const Shortlist& list) {
    return list.greatest == 0 || list.greatest >= out.cols;
  });
  if (x.rows > most_rows(weights.dtype) || 2 * whole > x.rows) return false;
  quantize(x);
  screen_all(screen, out);
  marks_.assign(static_cast<std::size_t>(panels_of(out.cols) * x.rows), 0);
  pool_.split(x.rows, [&](std::int64_t begin, std::int64_t end, int member) {
    for (std::int64_t t = begin; t < end; ++t) {
      mark(screen, lists[static_cast<std::size_t>(t)], t, member, out);
    }
  });
  compute_marked(x, weights, out);
  return true;
}

/// One part of the inputs and what it leaves.
void Screening::quantize_row(const LinearJob& job, Tensor x, std::int64_t row) {
  kernels_.quantize(job, row);
  const std::int64_t tile = row / kRowTile * kRowTile;
  const std::int64_t height = tile_height(job.rows, tile);
  const float* from = job.x + row * job.in;
  const bool first = row < x.rows;
  // The sums of squares are of exact differences, to a double's precision.
  double squares = 0;
  double left = 0;
  for (std::int64_t k = 0; k < job.in; ++k) {
    const std::int64_t at = tile * groups_of(job.in) + k / kGroup * height + row - tile;
    const double part = static_cast<double>(job.quantized.scales[at]) *
                        job.quantized.values[at * kGroup + k % kGroup];
    squares += static_cast<double>(from[k]) * from[k];
    const double rest = from[k] - part;
    left += rest * rest;
    if (first)
      parts_[static_cast<std::size_t>((row + x.rows) * job.in + k)] = static_cast<float>(rest);
  }
  RowBound& bound = bounds_[static_cast<std::size_t>(first ? row : row - x.rows)];
  if (first) bound.norm = std::sqrt(squares);
  // The second part is itself rounded from x - h, by less than the last term.
  if (!first) bound.left = std::sqrt(left) + std::sqrt(squares) * 0x1p-23;
  bound.bounded = bound.norm < kLargest && bound.left < kLargest;
}

/// The inputs as the sum of two parts in int8: one alone would be wrong by as much again as the
/// weights are.
void Screening::quantize(Tensor x) {
  const std::int64_t rows = 2 * x.rows;
  if (parts_.size() < static_cast<std::size_t>(rows * x.cols)) {
    parts_.resize(static_cast<std::size_t>(rows * x.cols));
  }
  bounds_.resize(static_cast<std::size_t>(x.rows));
  std::copy_n(x.data, x.rows * x.cols, parts_.begin());
  screened_ = {
      .x = parts_.data(), .quantized = quantized_.rows(rows, x.cols), .rows = rows, .in = x.cols};
  const auto both = [&](std::int64_t begin, std::int64_t end, int /*member*/) {
    for (std::int64_t t = begin; t < end; ++t) {
      quantize_row(screened_, x, t);
      quantize_row(screened_, x, t + x.rows);
    }
  };
  pool_.split(x.rows, both);
}

/// out = the screened dot products.
void Screening::screen_all(const Matrix& screen, Tensor out) {
  const std::int64_t chunk =
      std::clamp(kChunkFloats / (screened_.rows * kPanel), std::int64_t{1}, kMostChunkPanels);
  const auto* panels = static_cast<const std::byte*>(screen.data.get());
  pool_.split(panels_of(out.cols), [&](std::int64_t begin, std::int64_t end, int member) {
    std::vector<float>& dots = workers_[static_cast<std::size_t>(member)].dots;
    dots.resize(static_cast<std::size_t>(chunk * kPanel * screened_.rows));
    for (std::int64_t p = begin; p < end; p += chunk) {
      const std::int64_t count = std::min(chunk, end - p);
      const std::int64_t first = p * kPanel;
      LinearJob job = screened_;
      job.panels = panels + p * panel_bytes(DType::kI8, screen.in);
      job.out = std::min(count * kPanel, out.cols - first);
      job.y = dots.data();
      kernels_.linear_i8(job, 0, count);
      for (std::int64_t t = 0; t < out.rows; ++t) {
        const float* high = dots.data() + t * job.out;
        const float* low = dots.data() + (t + out.rows) * job.out;
        float* sums = out.data + t * out.cols + first;
        for (std::int64_t o = 0; o < job.out; ++o) sums[o] = high[o] + low[o];
      }
    }
  });
}

/// Marks the panels that hold what can be among a row's greatest, and empties the row.
void Screening::mark(const Matrix& screen, const Shortlist& list, std::int64_t row, int member,
                     Tensor out) {
  Worker& worker = workers_[static_cast<std::size_t>(member)];
  const RowBound& about = bounds_[static_cast<std::size_t>(row)];
  const auto vocab = static_cast<std::size_t>(out.cols);
  const std::int64_t panels = panels_of(out.cols);
  float* dots = out.data + row * out.cols;
  worker.lower.resize(vocab);
  worker.upper.resize(vocab);
  worker.maxima.resize(static_cast<std::size_t>(panels));
  const BoundJob job{.dots = dots,
                     .errors = errors_of(screen),
                     .norms = norms_of(screen),
                     .by_error = at_least(about.norm),
                     .by_norm = at_least(about.left + rounding(screen.in) * about.norm),
                     .limit = static_cast<float>(kLargest / std::max(about.norm, 1.0)),
                     .out = out.cols,
                     .lower = worker.lower.data(),
                     .upper = worker.upper.data()};
  float threshold = kNone;
  const bool some = list.greatest > 0 && list.greatest < out.cols;
  if (some && about.bounded && kernels_.bound(job)) {
    try {
      if (list.process) {
        list.process(worker.lower, member);
        list.process(worker.upper, member);
      }
      kernels_.panel_maxima(worker.lower.data(), out.cols, worker.maxima.data());
      threshold = kth_greatest(worker.lower, worker.maxima, static_cast<std::size_t>(list.greatest),
                               worker.best);
      kernels_.panel_maxima(worker.upper.data(), out.cols, worker.maxima.data());
    } catch (const Error&) {  // whoever reads the logits will be told the same
    }
  }
  for (std::int64_t p = 0; p < panels; ++p) {
    const bool can_be =
        threshold == kNone || worker.maxima[static_cast<std::size_t>(p)] >= threshold;
    marks_[static_cast<std::size_t>(p * out.rows + row)] = can_be ? 1 : 0;
  }
  std::fill_n(dots, out.cols, kNone);
}

void Screening::compute_marked(Tensor x, const Matrix& weights, Tensor out) {
  to_compute_.clear();
  for (std::int64_t p = 0; p < panels_of(out.cols); ++p) {
    const auto marks = std::span(marks_).subspan(static_cast<std::size_t>(p * x.rows),
                                                 static_cast<std::size_t>(x.rows));
    if (std::find(marks.begin(), marks.end(), 1) != marks.end()) {
      to_compute_.push_back(static_cast<std::int32_t>(p));
    }
  }
  pool_.split(static_cast<std::int64_t>(to_compute_.size()),
              [&](std::int64_t begin, std::int64_t end, int member) {
                for (std::int64_t i = begin; i < end; ++i) {
                  compute_panel(x, weights, to_compute_[static_cast<std::size_t>(i)],
                                workers_[static_cast<std::size_t>(member)], out);
                }
              });
}

/// A panel's outputs for the rows that have marked it.
void Screening::compute_panel(Tensor x, const Matrix& weights, std::int64_t panel, Worker& worker,
                              Tensor out) {
  const std::uint8_t* marks = marks_.data() + panel * x.rows;
  const std::int64_t first = panel * kPanel;
  const auto* panels = static_cast<const std::byte*>(weights.data.get());
  LinearJob job;
  job.x = x.data;
  job.rows = std::count(marks, marks + x.rows, 1);
  job.panels = panels + panel * panel_bytes(weights.dtype, weights.in);
  job.in = weights.in;
  job.out = std::min(kPanel, out.cols - first);
  job.y = out.data + first;
  const auto kernel = weights.dtype == DType::kF32 ? kernels_.linear_f32 : kernels_.linear_f16;
  if (x.rows == 1) return kernel(job, 0, 1);
  worker.x.resize(static_cast<std::size_t>(x.rows * x.cols));
  worker.sums.resize(static_cast<std::size_t>(x.rows * kPanel));
  std::int64_t count = 0;
  for (std::int64_t t = 0; t < x.rows; ++t) {
    if (marks[t] == 0) continue;
    std::copy_n(x.data + t * x.cols, x.cols, worker.x.data() + count++ * x.cols);
  }
  job.x = worker.x.data();
  job.y = worker.sums.data();
  kernel(job, 0, 1);
  const float* sums = worker.sums.data();
  for (std::int64_t t = 0; t < x.rows; ++t) {
    if (marks[t] == 0) continue;
    std::copy_n(sums, job.out, out.data + t * out.cols + first);
    sums += job.out;
  }
}

}  // namespace aira::cpu
