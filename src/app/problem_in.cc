// The second and last place that catches Error: where one bad input must not end the program.
#include "app/commands.h"

namespace aira {

std::optional<std::string> problem_in(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return std::nullopt;
}

}  // namespace aira
