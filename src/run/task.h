// A piece of work for the scheduler: a question with its answers, a beam search, a text to score.
// A task owns one or more streams; the scheduler computes what they wait for, many tasks together,
// and gives each task the logits it wants.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "run/sampler.h"
#include "run/streams.h"

namespace aira {

class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  /// Streams that must be free before the task may begin.
  virtual std::int64_t streams() const { return 1; }
  /// Called when it begins and before each step: closes what has ended, opens what there is room
  /// for.
  virtual void advance(Streams& streams) = 0;
  /// What can be made of these logits beside other rows' work: called for each row before any
  /// take(), several at once, each with a sampler of its own. Must not throw.
  virtual void prepare(Stream& /*stream*/, std::int64_t /*position*/,
                       std::span<const float> /*logits*/, Sampler& /*sampler*/) {}
  /// The logits [V] after `position` of one of the task's streams, valid until the next step. May
  /// append to streams and open others, and close those whose logits of this step it has had. May
  /// throw Error, which is the task's end.
  virtual void take(Stream& stream, std::int64_t position, std::span<const float> logits,
                    Streams& streams) = 0;
  virtual bool done() const = 0;

  // -- For backends that draw tokens themselves (DeviceSampler). --

  /// Whether all that the task wants of its next logits is a token drawn with these options; null
  /// when it needs more.
  virtual const SamplingOptions* draws() const { return nullptr; }
  /// How `stream`'s next token is to be drawn. From now on it is on its way.
  virtual DeviceDraw launch(Stream& /*stream*/) { return {}; }
  /// The token that was launched for draft number `draft` the longest ago.
  virtual void take_token(std::size_t /*draft*/, std::int32_t /*token*/) {}
  /// The number by which take_token knows a stream of the task.
  virtual std::size_t draft_of(const Stream& /*stream*/) const { return 0; }

  /// Ends with what there is, because the caller wants no more.
  virtual void cancel() = 0;
  /// Ends without a result, for this reason.
  virtual void fail(const std::string& problem) = 0;
  /// Gives back all streams.
  virtual void close(Streams& streams) = 0;
};

}  // namespace aira
