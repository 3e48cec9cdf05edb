// The loop that all line-by-line ways share: lines in, answers out in the same order, as many lines
// at work at once as the scheduler has room for.
#pragma once

#include <functional>
#include <string>

#include "app/line_reader.h"
#include "app/progress.h"
#include "run/scheduler.h"

namespace aira {

/// Prints what is there of a line's answer; true once that was all.
using LineAnswer = std::function<bool()>;

/// Calls `begin(line)` for each line and prints the answers in order as soon as they are there. Not
/// more lines are read than are needed to keep the scheduler busy. False when interrupted: what was
/// begun and not finished is dropped. Throws Error where the input cannot be read on, when all
/// lines before are answered. `scheduler` may be null when lines are answered at once.
bool answer_lines(LineReader& lines, Scheduler* scheduler, Progress& progress,
                  const std::function<LineAnswer(const std::string& line)>& begin);

}  // namespace aira
