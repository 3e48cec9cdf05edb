// What becomes of the program when a file that it has mapped is cut short, or its disk fails.
#pragma once

namespace aira {

/// From now on reading such a page ends the program with the sentence about it and kFailed, where a
/// SIGBUS would kill it. Called once, when the language is known and the terminal is as its owner
/// had it.
void catch_lost_files();

}  // namespace aira
