#include "cuda/drawing.h"

#include <algorithm>
#include <cassert>

#include "aira/error.h"

namespace aira::cuda {
namespace {

DrawOptions options_of(const Draw& draw) {
  const SamplingOptions& options = draw.options;
  return {.temperature = options.temperature,
          .top_p = options.top_p,
          .uniform = draw.uniform,
          .penalty = static_cast<float>(options.repetition_penalty),
          .top_k = options.greedy ? 1 : static_cast<std::int32_t>(options.top_k),
          .greedy = options.greedy ? 1 : 0};
}

}  // namespace

Drawing::Drawing(cudaStream_t stream) : stream_(stream) {
  for (Flight& flight : flights_) {
    check(cudaEventCreateWithFlags(&flight.arrived, cudaEventDisableTiming), "creating an event");
  }
}

Drawing::~Drawing() {
  static_cast<void>(cudaStreamSynchronize(stream_));
  for (const Flight& flight : flights_) static_cast<void>(cudaEventDestroy(flight.arrived));
}

bool Drawing::knows(const SamplingOptions& options, std::int64_t vocab) {
  if (vocab > kDrawVocab) return false;
  SamplingOptions known;
  known.temperature = options.temperature;
  known.top_k = options.top_k;
  known.top_p = options.top_p;
  known.repetition_penalty = options.repetition_penalty;
  known.greedy = options.greedy;
  if (options != known) return false;
  return options.greedy || (options.top_k > 0 && options.top_k <= kDrawTopK);
}

void Drawing::start(DrawJob job, std::span<const Draw> draws) {
  assert(flying_ < Backend::kDrawsAhead);
  // Nothing of a flight that was collected is on its way any more.
  Flight& flight = flights_[(first_ + flying_) % Backend::kDrawsAhead];
  ++flying_;
  flight.count = static_cast<std::int64_t>(draws.size());
  if (flight.count == 0) return;
  if (flight.count > flight.room) {
    flight.room = 2 * flight.count;
    constexpr auto kOptionBytes = static_cast<std::int64_t>(sizeof(DrawOptions));
    constexpr auto kTokenBytes = static_cast<std::int64_t>(sizeof(std::int32_t));
    flight.host_options = allocate_pinned(flight.room * kOptionBytes);
    flight.options = allocate_device(flight.room * kOptionBytes);
    flight.host_tokens = allocate_pinned(flight.room * kTokenBytes);
    flight.tokens = allocate_device(flight.room * kTokenBytes);
  }
  std::transform(draws.begin(), draws.end(), static_cast<DrawOptions*>(flight.host_options.get()),
                 options_of);
  check(cudaMemcpyAsync(flight.options.get(), flight.host_options.get(),
                        draws.size() * sizeof(DrawOptions), cudaMemcpyHostToDevice, stream_),
        "sending sampling options");
  job.count = flight.count;
  job.options = static_cast<const DrawOptions*>(flight.options.get());
  job.maxima = maxima_.get<unsigned>(job.count * draw_groups(job.vocab));
  job.out = static_cast<std::int32_t*>(flight.tokens.get());
  draw_tokens(job, {stream_, false});
  check(cudaMemcpyAsync(flight.host_tokens.get(), flight.tokens.get(),
                        draws.size() * sizeof(std::int32_t), cudaMemcpyDeviceToHost, stream_),
        "fetching tokens");
  check(cudaEventRecord(flight.arrived, stream_), "fetching tokens");
}

std::span<const std::int32_t> Drawing::collect() {
  assert(flying_ > 0);
  const Flight& flight = flights_[first_];
  first_ = (first_ + 1) % Backend::kDrawsAhead;
  --flying_;
  if (flight.count == 0) return {};
  check(cudaEventSynchronize(flight.arrived), "computing a step");
  const std::span<const std::int32_t> tokens(
      static_cast<const std::int32_t*>(flight.host_tokens.get()),
      static_cast<std::size_t>(flight.count));
  if (std::find(tokens.begin(), tokens.end(), kNotDrawn) != tokens.end()) throw Error(kNoNumber);
  return tokens;
}

}  // namespace aira::cuda
