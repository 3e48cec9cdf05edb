// Ctrl-C as a flag that the running work looks at, instead of a sudden death. One-shot and pipe
// mode end with exit code 130; the chat stops the running answer only.
#pragma once

#include <atomic>

namespace aira {

/// From now on SIGINT sets interrupted(). A SIGINT that the caller's shell ignores (a background
/// job) stays ignored.
void catch_interrupts();

/// Set by Ctrl-C; whoever has dealt with it calls clear_interrupt().
const std::atomic<bool>& interrupted();
void clear_interrupt();

/// From now on wait_readable calls `redraw` when the terminal needs it: the window has another
/// size, or the program goes on after Ctrl-Z.
void redraw_with(void (*redraw)());

/// Waits until `fd` can be read without blocking. False when Ctrl-C came first.
bool wait_readable(int fd);

}  // namespace aira
