// What a token stands for, made visible.
#pragma once

#include <string>
#include <string_view>

namespace aira {

/// The bytes of a token as text that says which ones they are: \\, \n and \t, \xc3 for what is no
/// whole character or a control character, \u00a0 for blanks other than the common one. `quoted`:
/// between double quotes, with \" for one of its own.
std::string piece_text(std::string_view bytes, bool quoted);

}  // namespace aira
