// What someone meant who wrote an option or a command that does not exist.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace aira {

/// Refuses `word` ("--temprature=1"), which is no option of `app`: a UsageError that says which one
/// it is like, or what takes the place of another program's.
[[noreturn]] void refuse_option(const CLI::App& app, std::string_view word);

/// Refuses long options with one dash (-temperature), which would be taken for -t emperature.
void refuse_one_dash(const CLI::App& app, std::span<const char* const> words);

/// The command that is so much like `word` that the word is hardly a question; or empty.
std::string mistyped_command(std::string_view word);

}  // namespace aira
