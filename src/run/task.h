// A piece of work for the scheduler: a question with its answers, a beam search, a text to score.
// A task owns one or more streams; the scheduler computes what they wait for, many tasks together,
// and gives each task the logits it wants.
#pragma once

#include <cstdint>
#include <span>
#include <string>

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
  /// The logits [V] after `position` of one of the task's streams, valid until the next step. May
  /// append to streams and open others, and close those whose logits of this step it has had. May
  /// throw Error, which is the task's end.
  virtual void take(Stream& stream, std::int64_t position, std::span<const float> logits,
                    Streams& streams) = 0;
  virtual bool done() const = 0;
  /// Ends with what there is, because the caller wants no more.
  virtual void cancel() = 0;
  /// Ends without a result, for this reason.
  virtual void fail(const std::string& problem) = 0;
  /// Gives back all streams.
  virtual void close(Streams& streams) = 0;
};

}  // namespace aira
