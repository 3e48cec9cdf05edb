// A text written in the user's own editor.
#pragma once

#include <string>

namespace aira {

/// Runs $VISUAL, else $EDITOR, else vi, on a file that holds `text`, and returns what it holds
/// afterwards, less the line breaks at its end. Throws Error when the editor fails, or the text is
/// not UTF-8 or too long; the file is removed in any case.
std::string written_in_editor(const std::string& text);

}  // namespace aira
