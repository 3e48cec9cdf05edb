#include "aira/error.h"

namespace aira {
namespace {

// Control characters never occur in a sentence: user text is escaped before it is quoted.
constexpr char kOpen = '\x01';
constexpr char kClose = '\x02';

/// `sentence` with each marked option spelled as a flag or as a JSON field.
std::string spelled(const std::string& sentence, bool as_flag) {
  std::string text;
  bool in_name = false;
  for (const char letter : sentence) {
    if (letter == kOpen || letter == kClose) {
      in_name = letter == kOpen;
      if (!as_flag) text += '"';
      if (as_flag && in_name) text += "--";
    } else {
      text += as_flag && in_name && letter == '_' ? '-' : letter;
    }
  }
  return text;
}

}  // namespace

std::string option(std::string_view name) { return kOpen + std::string(name) + kClose; }

Error::Error(const std::string& sentence)
    : std::runtime_error(spelled(sentence, true)),
      with_fields_(std::make_shared<const std::string>(spelled(sentence, false))) {}

}  // namespace aira
