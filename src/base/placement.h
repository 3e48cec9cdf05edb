// Where a new thread runs first.
#pragma once

#include <thread>

namespace aira {

/// CPUs that this process may use.
int allowed_cpus();

/// Moves `thread` to another CPU if it waits for the caller's, which it may use again later. On a
/// virtual machine new threads are put there although others are idle (idle virtual CPUs look taken
/// to Linux), and there they stay, doing nothing, until the next balancing: for 4 to 12 ms.
void move_from_here(std::thread& thread);

}  // namespace aira
