// Every operation of every backend this machine can run, over the case table, against the
// double-precision reference. Outputs are poisoned before and guarded on both sides.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>

#include "aira/error.h"
#include "backends.h"
#include "base/half.h"
#include "op_cases.h"
#include "reference.h"

namespace aira {
namespace {

using reference::Numbers;
using reference::Result;

struct Target {
  const TestBackend* backend;
  int threads;

  friend void PrintTo(const Target& target, std::ostream* out) { *out << target.backend->name; }
};

std::vector<Target> targets() {
  std::vector<Target> all;
  for (const TestBackend& backend : test_backends()) {
    for (const int threads : {1, 3}) {
      if (threads == 1 || backend.threads) all.push_back({&backend, threads});
    }
  }
  return all;
}

class Ops : public testing::TestWithParam<Target> {
 protected:
  Ops() : pool_(GetParam().threads), backend_(GetParam().backend->make(pool_)) {}

  /// check() by each of the backend's linear kernels.
  void with_each_linear_kernel(const std::function<void()>& check) {
    check();
    for (const char* const variable : GetParam().backend->linear_kernels) {
      if (enough()) break;
      SCOPED_TRACE(std::string(variable) + " off");
      setenv(variable, "off", 1);
      memory_.clear();
      backend_ = GetParam().backend->make(pool_);
      check();
    }
    for (const char* const variable : GetParam().backend->linear_kernels) unsetenv(variable);
  }

  std::vector<float> random(std::int64_t count, float center = 0, float spread = 1) {
    std::normal_distribution<float> normal(center, spread);
    std::vector<float> numbers(static_cast<std::size_t>(count));
    for (float& x : numbers) x = normal(random_);
    return numbers;
  }
  /// The nearest numbers that half precision can represent.
  static std::vector<float> halves(std::vector<float> numbers) {
    for (float& x : numbers) x = half_to_float(float_to_half(x));
    return numbers;
  }
  /// From [in, out] to [out, in].
  static std::vector<float> transposed(const std::vector<float>& w, std::int64_t out) {
    const auto columns = static_cast<std::size_t>(out);
    const std::size_t in = w.size() / columns;
    std::vector<float> result(w.size());
    for (std::size_t k = 0; k < in; ++k) {
      for (std::size_t o = 0; o < columns; ++o) result[o * in + k] = w[k * columns + o];
    }
    return result;
  }
  static Numbers doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

  static std::shared_ptr<const std::byte> bytes(const std::vector<float>& x) {
    auto copy = std::make_shared<std::vector<float>>(x);
    return {copy, reinterpret_cast<const std::byte*>(copy->data())};
  }
  Vector vector(const std::vector<float>& x) {
    return backend_->load_vector(
        {.data = bytes(x), .shape = {static_cast<std::int64_t>(x.size())}});
  }
  Tensor tensor(const std::vector<float>& x, std::int64_t rows) {
    return tensor(rows, static_cast<std::int64_t>(x.size()) / rows, &x);
  }
  /// The rows of an activation of a step over `rows` rows.
  std::int64_t padded_rows(std::int64_t rows) { return backend_->reserve({.rows = rows}).rows; }
  /// A poisoned tensor with guards around it, filled from `x` if given.
  Tensor tensor(std::int64_t rows, std::int64_t cols, const std::vector<float>* x = nullptr) {
    const std::int64_t count = padded_rows(rows) * cols;
    std::vector<float> contents(static_cast<std::size_t>(count + 2 * kGuard), kPoison);
    if (x != nullptr) std::copy(x->begin(), x->end(), contents.begin() + kGuard);
    memory_.push_back(backend_->alloc((count + 2 * kGuard) * 4, contents.data()));
    return {static_cast<float*>(memory_.back().get()) + kGuard, rows, cols};
  }
  void expect_near(const Tensor& tensor, const Result& expected) {
    const std::int64_t count = tensor.rows * tensor.cols;
    const std::int64_t padded = padded_rows(tensor.rows) * tensor.cols;
    ASSERT_EQ(static_cast<std::size_t>(count), expected.value.size());
    const auto all = backend_->read({tensor.data - kGuard, 1, padded + 2 * kGuard});
    for (std::int64_t i = 0; i < kGuard; ++i) {
      ASSERT_TRUE(std::isnan(all[i])) << "written " << kGuard - i << " before the output";
      ASSERT_TRUE(std::isnan(all[kGuard + padded + i])) << "written " << i << " behind the output";
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const double got = all[kGuard + i];
      ASSERT_LE(std::abs(got - expected.value[i]), expected.tolerance[i])
          << "at row " << i / tensor.cols << ", column " << i % tensor.cols << ": got " << got
          << ", expected " << expected.value[i];
    }
  }

  /// A planted mistake needs no more than one failure; otherwise every failing case is shown.
  static bool enough() { return HasFailure() && testing::GTEST_FLAG(fail_fast); }

  /// The cache's types that make a difference to the backend, with every case.
  static std::vector<std::pair<AttentionCase, DType>> attention_cases() {
    std::vector<std::pair<AttentionCase, DType>> all;
    for (std::size_t i = 0; i < kAttentionCases.size(); ++i) {
      const AttentionCase& c = kAttentionCases[i];
      if (c.heads * c.context > 1000 && !GetParam().backend->takes(i)) continue;
      all.emplace_back(c, DType::kF32);
      if (GetParam().backend->half_cache) all.emplace_back(c, DType::kF16);
    }
    return all;
  }

  void check_linear();
  void check_linear_of_normalised_rows();

  class Sequences;

  static constexpr std::int64_t kGuard = 16;  // floats, so that alignment stays
  static constexpr float kPoison = std::numeric_limits<float>::quiet_NaN();
  ThreadPool pool_;
  std::unique_ptr<Backend> backend_;
  std::vector<Buffer> memory_;
  std::mt19937_64 random_{7};
};

void Ops::check_linear() {
  for (std::size_t i = 0; i < kLinearCases.size(); ++i) {
    const LinearCase& c = kLinearCases[i];
    if (c.in * c.out > 100000 && !GetParam().backend->takes(i)) continue;
    const auto x = random(c.rows * c.in);
    const auto full = random(c.in * c.out, 0.1F, 0.3F);
    const auto bias = random(c.out, 0.5F);
    const auto residual = random(c.rows * c.out, -0.5F);
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8}) {
      if (dtype == DType::kI8 && !GetParam().backend->int8) continue;
      const auto w = dtype == DType::kF16 ? halves(full) : full;
      const bool rounded = dtype != DType::kF32 && GetParam().backend->rounds_inputs;
      const bool int8 = dtype == DType::kI8;
      const bool int8_inputs = int8 && !rounded;
      const Result expected = reference::linear(
          {c.rows, c.in, c.out, c.activation, c.bias, c.residual,
           rounded ? reference::kHalfUnit : 0, int8_inputs ? (c.in + 63) / 64 : 0},
          int8_inputs ? reference::int8_inputs(x, c.in, 64) : doubles(x),
          int8 ? reference::int8_weights(w, c.out, 64) : doubles(w), doubles(bias),
          doubles(residual));
      for (const bool out_major : {false, true}) {
        SCOPED_TRACE(testing::Message() << c.rows << " x " << c.in << " -> " << c.out << " "
                                        << name_of(dtype) << (out_major ? " out-major" : ""));
        const Matrix matrix = backend_->load_matrix(
            {.data = bytes(out_major ? transposed(w, c.out) : w),
             .dtype = DType::kF32,
             .shape = out_major ? std::vector{c.out, c.in} : std::vector{c.in, c.out},
             .out_major = out_major},
            dtype);
        const Vector bias_vector = vector(bias);
        Epilogue epilogue{
            .bias = c.bias ? &bias_vector : nullptr, .activation = c.activation, .residual = {}};
        const Tensor input = tensor(x, c.rows);
        // A residual connection writes over what it adds to.
        const Tensor out = c.residual ? tensor(residual, c.rows) : tensor(c.rows, c.out);
        if (c.residual) epilogue.residual = out;
        backend_->reserve({.rows = c.rows, .inputs = c.in, .outputs = c.out});
        backend_->linear(input, matrix, epilogue, out);
        expect_near(out, expected);
        if (enough()) return;
      }
    }
  }
}

TEST_P(Ops, Linear) {
  with_each_linear_kernel([this] { check_linear(); });
}

TEST_P(Ops, LayerNorm) {
  for (const LayerNormCase& c : kLayerNormCases) {
    SCOPED_TRACE(testing::Message() << c.rows << " x " << c.width);
    const auto x = random(c.rows * c.width, 3, 2);
    const auto gain = random(c.width, 1, 0.5F);
    const auto bias = random(c.width, 0.3F);
    const Vector gain_vector = vector(gain);  // must live until the result is read
    const Vector bias_vector = vector(bias);
    const Tensor out = tensor(c.rows, c.width);
    backend_->layernorm(tensor(x, c.rows), gain_vector, bias_vector, 1e-5F, out);
    expect_near(out, reference::layernorm(c.rows, c.width, doubles(x), doubles(gain), doubles(bias),
                                          1e-5F));
    if (enough()) return;
  }
}

TEST_P(Ops, LayerNormOfOutputRows) {
  for (const LayerNormCase& c : kLayerNormCases) {
    SCOPED_TRACE(testing::Message() << c.rows << " x " << c.width);
    const auto x = random(c.rows * c.width, 3, 2);
    const auto gain = random(c.width, 1, 0.5F);
    const auto bias = random(c.width, 0.3F);
    const Vector gain_vector = vector(gain);
    const Vector bias_vector = vector(bias);
    std::vector<Row> rows;
    std::vector<std::int32_t> outputs;
    Numbers chosen;
    for (std::int32_t t = 0; t < c.rows; ++t) {
      rows.push_back({0, t, 0});
      if (t % 3 != 1) continue;
      outputs.push_back(t);
      chosen.insert(chosen.end(), x.begin() + t * c.width, x.begin() + (t + 1) * c.width);
    }
    const auto count = static_cast<std::int64_t>(outputs.size());
    const Tensor input = tensor(x, c.rows);
    const Tensor out = tensor(count, c.width);
    backend_->reserve({.rows = c.rows, .output_rows = count});
    backend_->begin(rows, outputs, {});
    backend_->layernorm(input, gain_vector, bias_vector, 1e-5F, out, RowSet::kOutput);
    backend_->end();
    expect_near(out,
                reference::layernorm(count, c.width, chosen, doubles(gain), doubles(bias), 1e-5F));
    if (enough()) return;
  }
}

void Ops::check_linear_of_normalised_rows() {
  constexpr std::int64_t kOut = 45;
  for (const auto& [count, width] : {std::pair<std::int64_t, std::int64_t>{1, 1},
                                     {2, 7},
                                     {3, 96},
                                     {9, 100},
                                     {17, 97},
                                     {41, 204},
                                     {1, 768},
                                     {2, 1600},
                                     {1, 3076}}) {
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8}) {
      const bool int8 = dtype == DType::kI8;
      // Inputs in int8 would be off by a step wherever the LayerNorm is off by a bit.
      if (int8 && !(GetParam().backend->int8 && GetParam().backend->rounds_inputs)) continue;
      for (const RowSet set : {RowSet::kAll, RowSet::kOutput}) {
        SCOPED_TRACE(testing::Message() << count << " x " << width << " " << name_of(dtype)
                                        << (set == RowSet::kOutput ? ", output rows" : ""));
        const std::int64_t total = set == RowSet::kAll ? count : 2 * count;
        const auto x = random(total * width, 3, 2);
        const auto gain = random(width, 1, 0.5F);
        const auto shift = random(width, 0.3F);
        const auto w = halves(random(width * kOut, 0.1F, 0.3F));
        const Numbers stored = int8 ? reference::int8_weights(w, kOut, 64) : doubles(w);
        const auto bias = random(kOut, 0.5F);
        const Vector gain_vector = vector(gain);
        const Vector shift_vector = vector(shift);
        const Vector bias_vector = vector(bias);
        const Matrix matrix = backend_->load_matrix(
            {.data = bytes(w), .dtype = DType::kF32, .shape = {width, kOut}}, dtype);
        std::vector<Row> rows;
        std::vector<std::int32_t> outputs;
        Numbers chosen;
        for (std::int32_t t = 0; t < total; ++t) {
          rows.push_back({0, t, 0});
          if (set == RowSet::kOutput && t % 2 == 0) continue;
          outputs.push_back(t);
          chosen.insert(chosen.end(), x.begin() + t * width, x.begin() + (t + 1) * width);
        }
        const Tensor input = tensor(x, total);
        const Tensor normed = tensor(count, width);
        const Tensor out = tensor(count, kOut);
        backend_->reserve(
            {.rows = total, .output_rows = count, .inputs = width, .outputs = kOut, .vocab = kOut});
        backend_->begin(rows, outputs, {});
        backend_->layernorm(input, gain_vector, shift_vector, 1e-5F, normed, set);
        backend_->linear(normed, matrix, {.bias = &bias_vector, .residual = {}}, out);
        backend_->end();
        const reference::Result norm =
            reference::layernorm(count, width, chosen, doubles(gain), doubles(shift), 1e-5F);
        const bool rounded = dtype != DType::kF32 && GetParam().backend->rounds_inputs;
        reference::Result expected = reference::linear({count, width, kOut, Activation::kNone, true,
                                                        false, rounded ? reference::kHalfUnit : 0},
                                                       norm.value, stored, doubles(bias), {});
        for (std::int64_t i = 0; i < count * kOut; ++i) {
          for (std::int64_t k = 0; k < width; ++k) {
            expected.tolerance[static_cast<std::size_t>(i)] +=
                norm.tolerance[static_cast<std::size_t>(i / kOut * width + k)] *
                std::abs(stored[static_cast<std::size_t>(k * kOut + i % kOut)]);
          }
        }
        expect_near(out, expected);
        if (enough()) return;
      }
    }
  }
}

// A backend may compute the two as one.
TEST_P(Ops, LinearOfNormalisedRows) {
  with_each_linear_kernel([this] { check_linear_of_normalised_rows(); });
}

TEST_P(Ops, Embed) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kI8}) {
    if (dtype == DType::kI8 && !GetParam().backend->int8) continue;
    const std::int64_t vocab = 67;
    const std::int64_t width = 71;
    const auto tokens = halves(random(vocab * width));
    Numbers stored = doubles(tokens);
    if (dtype == DType::kI8) stored = reference::int8_embeddings(tokens, width, 64);
    const auto positions = random(9 * width);
    const Matrix matrix = backend_->load_matrix(
        {.data = bytes(tokens), .dtype = DType::kF32, .shape = {vocab, width}, .out_major = true},
        dtype);
    std::vector<Row> rows;
    for (int i = 0; i < 9; ++i) rows.push_back({(i * 31) % 67, i % 2, 8 - i});
    rows[3].token = 66;
    Result embedded;
    for (const Row& row : rows) {
      for (std::int64_t c = 0; c < width; ++c) {
        const double sum = stored[row.token * width + c] +
                           static_cast<double>(positions[row.position * width + c]);
        embedded.value.push_back(static_cast<float>(sum));
        embedded.tolerance.push_back(0);
      }
    }
    const Vector position_vector = vector(positions);
    const Tensor x = tensor(9, width);
    backend_->begin(rows, {}, {});
    backend_->embed(matrix, position_vector, x);
    backend_->end();
    expect_near(x, embedded);
  }
}

/// Memory for steps over a few rows of each sequence.
void reserve_attention(Backend& backend, const AttentionCase& shape, const PageTable& table) {
  backend.reserve({.rows = static_cast<std::int64_t>(shape.sequences.size()) * shape.context,
                   .slots = static_cast<std::int64_t>(shape.sequences.size()),
                   .context = table.width * kPagePositions,
                   .heads = shape.heads,
                   .head_size = shape.head_size});
}

/// Tables of pages for sequences of up to `context` positions, the pages in no order, with some
/// that nobody uses in between, and entries beyond a sequence's reach that are no page at all.
class Pages {
 public:
  Pages(std::size_t sequences, std::int64_t context)
      : width_((context + kPagePositions - 1) / kPagePositions + 1),
        table_(sequences * static_cast<std::size_t>(width_), kNowhere) {}

  /// Gives every sequence pages for positions up to reach[s]; those it has stay.
  void reach(const std::vector<std::int64_t>& reach, std::mt19937_64& random) {
    for (std::size_t s = 0; s < reach.size(); ++s) {
      for (std::int64_t p = 0; p * kPagePositions < reach[s]; ++p) {
        if (entry(s, p) == kNowhere) entry(s, p) = take(random);
      }
    }
  }
  std::int32_t& entry(std::size_t sequence, std::int64_t page) {
    return table_[sequence * static_cast<std::size_t>(width_) + static_cast<std::size_t>(page)];
  }
  /// A page that nobody has.
  std::int32_t take(std::mt19937_64& random) {
    const std::size_t at = random() % free_.size();
    const std::int32_t page = free_[at];
    free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(at));
    return page;
  }
  /// All there can ever be, with room for copies.
  std::int64_t count() const { return static_cast<std::int64_t>(2 * table_.size()) + 3; }
  PageTable table() const { return {table_, width_}; }

 private:
  static constexpr std::int32_t kNowhere = 0x7fffff00;
  std::int64_t width_;
  std::vector<std::int32_t> table_;
  std::vector<std::int32_t> free_ = [this] {
    std::vector<std::int32_t> all(static_cast<std::size_t>(count()));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }();
};

/// Sequences that grow, each with all that was put into the cache for it: queries, keys and values
/// [position][3][C].
class Ops::Sequences {
 public:
  Sequences(Ops& ops, const AttentionCase& shape, DType dtype)
      : ops_(ops), shape_(shape), history_(shape.sequences.size()) {
    Pages pages(shape.sequences.size(), shape.context);
    cache_ = ops.backend_->make_cache({.layers = 2,
                                       .pages = pages.count(),
                                       .heads = shape.heads,
                                       .head_size = shape.head_size,
                                       .context = shape.context,
                                       .dtype = dtype,
                                       .data = {}});
    reserve_attention(*ops_.backend_, shape, pages.table());
    pages_ = std::make_unique<Pages>(std::move(pages));
  }

  /// One step that appends more[s] positions to each sequence in layer 1; with `checked`, other
  /// numbers are appended in layer 0, and the result must be the reference's.
  void grow(const std::vector<std::int64_t>& more, bool checked) {
    const std::int64_t width = shape_.heads * shape_.head_size;
    std::vector<Row> rows;
    std::vector<float> qkv;
    Result expected;
    std::vector<std::int64_t> reach;
    for (std::size_t s = 0; s < history_.size(); ++s) {
      const std::int64_t begin = length(s);
      const auto fresh = ops_.random(more[s] * 3 * width, 0.1F);
      qkv.insert(qkv.end(), fresh.begin(), fresh.end());
      history_[s].insert(history_[s].end(), fresh.begin(), fresh.end());
      for (std::int64_t p = begin; p < begin + more[s]; ++p) {
        rows.push_back({0, static_cast<std::int32_t>(s), static_cast<std::int32_t>(p)});
        if (checked) expect(s, p, expected);
      }
      reach.push_back(length(s));
    }
    if (rows.empty()) return;
    pages_->reach(reach, ops_.random_);
    const auto count = static_cast<std::int64_t>(rows.size());
    const Tensor out = ops_.tensor(count, width);
    const auto other = ops_.random(count * 3 * width);
    ops_.backend_->begin(rows, {}, pages_->table());
    if (checked) {
      ops_.backend_->attention(ops_.tensor(other, count), cache_, 0, kScale,
                               ops_.tensor(count, width));
    }
    ops_.backend_->attention(ops_.tensor(qkv, count), cache_, 1, kScale, out);
    ops_.backend_->end();
    if (checked) ops_.expect_near(out, expected);
  }

  /// Makes sequence `to`, which is empty, go on from where `from` is: whole pages are shared, the
  /// last one, if it is not full, is a copy.
  void fork(std::size_t from, std::size_t to, std::vector<PageCopy>& copies) {
    ASSERT_EQ(length(to), 0);
    history_[to] = history_[from];
    for (std::int64_t p = 0; p * kPagePositions < length(from); ++p) {
      std::int32_t& page = pages_->entry(to, p);
      page = pages_->entry(from, p);
      if ((p + 1) * kPagePositions <= length(from)) continue;
      copies.push_back({page, pages_->take(ops_.random_)});
      page = copies.back().to;
    }
  }
  void copy(const std::vector<PageCopy>& copies) { ops_.backend_->copy_pages(cache_, copies); }

  std::int64_t length(std::size_t sequence) const {
    return static_cast<std::int64_t>(history_[sequence].size()) /
           (3 * shape_.heads * shape_.head_size);
  }

 private:
  void expect(std::size_t sequence, std::int64_t position, Result& expected) const {
    for (std::int64_t h = 0; h < shape_.heads; ++h) {
      const auto part = [&](std::int64_t p, std::int64_t which, Numbers& to) {
        const float* from = history_[sequence].data() +
                            (p * 3 + which) * shape_.heads * shape_.head_size +
                            h * shape_.head_size;
        to.insert(to.end(), from, from + shape_.head_size);
      };
      Numbers q;
      Numbers keys;
      Numbers values;
      part(position, 0, q);
      for (std::int64_t j = 0; j <= position; ++j) {
        part(j, 1, keys);
        part(j, 2, values);
      }
      const Result head =
          reference::attention(position + 1, shape_.head_size, q, keys, values, kScale,
                               cache_.dtype == DType::kF16 ? reference::kHalfUnit : 0);
      expected.value.insert(expected.value.end(), head.value.begin(), head.value.end());
      expected.tolerance.insert(expected.tolerance.end(), head.tolerance.begin(),
                                head.tolerance.end());
    }
  }

  static constexpr float kScale = 0.3F;
  Ops& ops_;
  const AttentionCase& shape_;
  KvCache cache_;
  std::unique_ptr<Pages> pages_;
  std::vector<std::vector<float>> history_;
};

TEST_P(Ops, Attention) {
  for (const auto& [c, dtype] : attention_cases()) {
    SCOPED_TRACE(testing::Message() << name_of(dtype) << ", " << c.heads << " heads of "
                                    << c.head_size << ", context " << c.context);
    Sequences sequences(*this, c, dtype);
    std::vector<std::int64_t> cached;
    std::vector<std::int64_t> rows;
    for (const AttentionCase::Sequence& sequence : c.sequences) {
      cached.push_back(sequence.cached);
      rows.push_back(sequence.rows);
    }
    sequences.grow(cached, false);
    sequences.grow(rows, true);
    if (enough()) return;
  }
}

TEST_P(Ops, SequencesShareAndCopyPages) {
  // From what lengths of a prefix others go on, in pages: none whole, one exactly, one and a bit.
  for (const std::int64_t prefix : {5, 32, 45}) {
    for (const DType dtype : {DType::kF32, DType::kF16}) {
      if (dtype == DType::kF16 && !GetParam().backend->half_cache) continue;
      SCOPED_TRACE(testing::Message() << name_of(dtype) << ", prefix " << prefix);
      const AttentionCase shape{3, 20, 90, {{0, 0}, {0, 0}, {0, 0}, {0, 0}}};
      Sequences sequences(*this, shape, dtype);
      sequences.grow({prefix, 0, 0, 2}, true);
      std::vector<PageCopy> copies;
      sequences.fork(0, 1, copies);
      sequences.fork(0, 2, copies);
      sequences.copy(copies);
      // All go on with numbers of their own, so whoever wrote into another's page would be seen.
      sequences.grow({1, 1, 1, 1}, true);
      sequences.grow({3, 30, 1, 1}, true);
      sequences.grow({1, 1, 1, 1}, true);
      if (enough()) return;
    }
  }
}

TEST_P(Ops, AttentionGivesTheSameBitsHoweverItIsBatched) {
  // More than two ranges of keys, on the CPU and on a GPU.
  const bool slow = GetParam().backend->shares > 1;
  const std::int64_t length = slow ? 270 : 530;
  // One row at a time; a slow backend takes those between the 20th and the last 20 at once.
  std::vector<std::int64_t> ones(static_cast<std::size_t>(slow ? 41 : 1), 1);
  if (slow) ones[20] = length - 40;
  constexpr std::int64_t kWidth = 3 * 20;
  const auto qkv = random(length * 3 * kWidth);
  const auto company = random(length * 3 * kWidth);
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    // Slot 1's outputs when its rows come in steps of these sizes, in turn, beside one or two rows
    // of slot 0.
    const auto outputs = [&](Backend& backend, const std::vector<std::int64_t>& sizes,
                             std::int64_t beside) {
      Pages pages(2, length);
      const KvCache cache = backend.make_cache({.layers = 1,
                                                .pages = pages.count(),
                                                .heads = 3,
                                                .head_size = 20,
                                                .context = length,
                                                .dtype = dtype,
                                                .data = {}});
      pages.reach({length, length}, random_);
      backend.reserve(
          {.rows = length + 2, .slots = 2, .context = length, .heads = 3, .head_size = 20});
      const Buffer memory = backend.alloc((length + 2) * kWidth * 4);
      const Tensor out{static_cast<float*>(memory.get()), length + 2, kWidth};
      std::vector<float> all;
      std::int64_t before = 0;  // slot 0's positions
      for (std::size_t step = 0; static_cast<std::int64_t>(all.size()) < length * kWidth; ++step) {
        const auto first = static_cast<std::int64_t>(all.size()) / kWidth;
        const std::int64_t count = std::min(sizes[step % sizes.size()], length - first);
        std::vector<Row> rows;
        std::vector<float> numbers;
        const auto add = [&](const std::vector<float>& from, std::int32_t slot, std::int64_t p) {
          rows.push_back({0, slot, static_cast<std::int32_t>(p)});
          numbers.insert(numbers.end(), from.begin() + p * 3 * kWidth,
                         from.begin() + (p + 1) * 3 * kWidth);
        };
        for (std::int64_t i = 0; i < beside && before < length; ++i) add(company, 0, before++);
        const auto others = static_cast<std::int64_t>(rows.size());
        for (std::int64_t i = 0; i < count; ++i) add(qkv, 1, first + i);
        const auto total = static_cast<std::int64_t>(rows.size());
        const Buffer input = backend.alloc(total * 3 * kWidth * 4, numbers.data());
        backend.begin(rows, {}, pages.table());
        backend.attention({static_cast<float*>(input.get()), total, 3 * kWidth}, cache, 0, 0.3F,
                          out.first(total));
        backend.end();
        const auto result = backend.read(out.first(total));
        all.insert(all.end(), result.begin() + others * kWidth, result.end());
      }
      return all;
    };
    const auto at_once = outputs(*backend_, {length}, 0);
    const auto singly = outputs(*backend_, ones, 0);
    EXPECT_EQ(singly, outputs(*backend_, ones, 2));
    EXPECT_EQ(at_once, outputs(*backend_, {2, 3, 5, 12, 13, 31, 64}, 1));  // never a single one
    if (GetParam().backend->same_bits_alone) {
      EXPECT_EQ(at_once, singly);
      EXPECT_EQ(at_once, outputs(*backend_, {1, 2, 3, 5, 12, 13, 31, 64}, 2));
    }
    ThreadPool one(1);
    const std::unique_ptr<Backend> fewer = GetParam().backend->make(one);
    EXPECT_EQ(at_once, outputs(*fewer, {97, 96}, 1));
  }
}

TEST_P(Ops, LoadsEveryStorageTypeAtAnyAlignment) {
  // 1, -2, 0.5 in each type, at an odd address, as a matrix of 3 inputs and 1 output and as a bias.
  const std::pair<DType, std::vector<std::uint8_t>> cases[] = {
      {DType::kF32, {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f}},
      {DType::kF16, {0, 0x3c, 0, 0xc0, 0, 0x38}},
      {DType::kBF16, {0x80, 0x3f, 0, 0xc0, 0, 0x3f}},
  };
  for (const auto& [dtype, numbers] : cases) {
    auto memory = std::make_shared<std::vector<std::uint8_t>>(numbers.size() + 1);
    std::copy(numbers.begin(), numbers.end(), memory->begin() + 1);
    const std::shared_ptr<const std::byte> source(
        memory, reinterpret_cast<const std::byte*>(memory->data()) + 1);
    const Vector bias = backend_->load_vector({.data = source, .dtype = dtype, .shape = {3}});
    const Matrix column =
        backend_->load_matrix({.data = source, .dtype = dtype, .shape = {3, 1}}, DType::kF16);
    const Matrix row =
        backend_->load_matrix({.data = source, .dtype = dtype, .shape = {1, 3}}, DType::kF32);
    backend_->reserve({.rows = 1, .inputs = 3, .outputs = 3});
    const Tensor product = tensor(1, 1);
    backend_->linear(tensor({1, 10, 100}, 1), column, {}, product);
    expect_near(product, {{1 - 20 + 50}, {0}});
    const Tensor sums = tensor(1, 3);
    backend_->linear(tensor(std::vector<float>{1}, 1), row, {.bias = &bias, .residual = {}}, sums);
    expect_near(sums, {{2, -4, 1}, {0, 0, 0}});
  }
}

TEST_P(Ops, RefusesWhatHalfPrecisionCannotHold) {
  std::vector<float> weights(40, 1.0F);
  weights.back() = 7e4F;
  const HostTensor source{.data = bytes(weights), .dtype = DType::kF32, .shape = {1, 40}};
  EXPECT_THROW(backend_->load_matrix(source, DType::kF16), Error);
  EXPECT_NO_THROW(backend_->load_matrix(source, DType::kF32));
}

TEST_P(Ops, Int8StaysWithinHalfAStep) {
  if (!GetParam().backend->int8) {
    const HostTensor source{.data = bytes({1, 2}), .dtype = DType::kF32, .shape = {1, 2}};
    EXPECT_THROW(backend_->load_matrix(source, DType::kI8), Error);
    return;
  }
  for (const LinearCase& c : {LinearCase{3, 200, 70}, {1, 64, 33}, {20, 63, 32}, {1, 1, 1}}) {
    SCOPED_TRACE(testing::Message() << c.rows << " x " << c.in << " -> " << c.out);
    const reference::Linear shape{c.rows, c.in, c.out};
    const auto x = random(c.rows * c.in);
    const auto w = random(c.in * c.out, 0.1F, 0.3F);
    const Matrix matrix = backend_->load_matrix(
        {.data = bytes(w), .dtype = DType::kF32, .shape = {c.in, c.out}}, DType::kI8);
    const Tensor out = tensor(c.rows, c.out);
    backend_->reserve({.rows = c.rows, .inputs = c.in, .outputs = c.out});
    backend_->linear(tensor(x, c.rows), matrix, {}, out);
    Result expected = reference::linear(shape, doubles(x), doubles(w), {}, {});
    const Numbers error = reference::int8_error(shape, x, w, 64);
    for (std::size_t i = 0; i < error.size(); ++i) expected.tolerance[i] += error[i];
    expect_near(out, expected);
  }
}

TEST_P(Ops, Int8WeightsThatAreHardToScale) {
  if (!GetParam().backend->int8) GTEST_SKIP() << "no int8 weights";
  // The last weight of each column; the others are 1, or 0 beside a tiny one.
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> kinds = {0x1p-101F, -0x1p-99F, 3e38F, kInfinity, -kInfinity, kPoison};
  constexpr std::int64_t kIn = 70;
  const auto out = static_cast<std::int64_t>(kinds.size());
  std::vector<float> w;
  for (std::int64_t k = 0; k < kIn; ++k) {
    for (const float kind : kinds) w.push_back(k + 1 == kIn ? kind : std::abs(kind) < 1 ? 0 : 1);
  }
  backend_->reserve({.rows = 1, .inputs = kIn, .outputs = out});
  for (const bool out_major : {false, true}) {
    const Matrix matrix =
        backend_->load_matrix({.data = bytes(out_major ? transposed(w, out) : w),
                               .dtype = DType::kF32,
                               .shape = out_major ? std::vector{out, kIn} : std::vector{kIn, out},
                               .out_major = out_major},
                              DType::kI8);
    const Tensor result = tensor(1, out);
    backend_->linear(tensor(std::vector<float>(kIn, 0.5F), 1), matrix, {}, result);
    const auto y = backend_->read(result);
    EXPECT_EQ(y[0], 0);  // below 2^-100 nothing is left
    EXPECT_NEAR(y[1] / kinds[1], 0.5, 0.005);
    EXPECT_NEAR(y[2] / kinds[2], 0.5, 0.005);
    for (std::size_t o = 3; o < kinds.size(); ++o) EXPECT_FALSE(std::isfinite(y[o])) << kinds[o];
  }
}

INSTANTIATE_TEST_SUITE_P(Every, Ops, testing::ValuesIn(targets()), [](const auto& target) {
  return target.param.backend->name + "_" + std::to_string(target.param.threads) + "_threads";
});

}  // namespace
}  // namespace aira
