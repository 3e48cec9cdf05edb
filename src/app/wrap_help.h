// Help texts in lines that fit a terminal.
#pragma once

#include <string>
#include <string_view>

namespace aira {

/// `text` (UTF-8, letters one column wide) in lines of `columns` at most, as far as its words
/// allow. What is left of a line goes on after `indent` blanks.
std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent);

}  // namespace aira
