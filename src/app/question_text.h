// A question and the text beside it: --stdin, {} in the question, --whole, --null.
#pragma once

#include "app/ask.h"

namespace aira {

/// --stdin, --whole and --null
void add_text_options(CLI::App& app, AskOptions& options);

/// Takes the question "-" for -f -, and refuses what does not go together. Throws UsageError.
void check_text_options(AskOptions& options);

/// Reads the text that belongs to the question, or is it, and puts it there. {} counts when stdin
/// is a file or a pipe that was made for this program: one that the calling shell reads as well
/// (`while read`) is not touched. Throws Error.
void complete_question(AskOptions& options);

/// Says so if stdin is a file or a pipe made for this program that holds text nobody has read.
void note_unread_text(const AskOptions& options);

}  // namespace aira
