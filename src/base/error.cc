#include "aira/error.h"

#include <libintl.h>

#include <algorithm>
#include <utility>

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

/// The length of an id like "[E017] " at the beginning of `sentence`; 0 when there is none.
std::size_t length_of_id(const std::string& sentence) {
  const std::size_t end = sentence.find("] ");
  const bool digits = end != std::string::npos && sentence.starts_with("[E") &&
                      sentence.find_first_not_of("0123456789", 2) == end;
  return digits ? end + 2 : 0;
}

}  // namespace

std::string option(std::string_view name) { return kOpen + std::string(name) + kClose; }

std::string message(const char* pattern, std::initializer_list<std::string_view> values) {
  std::string_view rest = ::dgettext("aira-cli", pattern);
  std::string text;
  for (std::size_t next = 0;;) {
    const std::size_t open = std::min(rest.find('{'), rest.size());
    text += rest.substr(0, open);
    rest.remove_prefix(open);
    if (rest.empty()) return text;
    const bool numbered = rest.size() > 2 && rest[1] >= '0' && rest[1] <= '9' && rest[2] == '}';
    const std::size_t value = numbered ? static_cast<std::size_t>(rest[1] - '0') : next;
    const std::size_t length = numbered ? 3 : rest.starts_with("{}") ? 2 : 1;
    if (length > 1 && value < values.size()) {
      text += values.begin()[value];
      next = value + 1;
    } else {
      text += rest.substr(0, length);
    }
    rest.remove_prefix(length);
  }
}

Error::Error(const std::string& sentence) : Error(parts_of(sentence)) {}

std::shared_ptr<const Error::Parts> Error::parts_of(const std::string& sentence) {
  const std::size_t id = length_of_id(sentence);
  const std::string rest = sentence.substr(id);
  return std::make_shared<const Parts>(
      Parts{id == 0 ? "" : sentence.substr(1, id - 3), spelled(rest, true), spelled(rest, false)});
}

Error::Error(std::shared_ptr<const Parts> parts)
    : std::runtime_error(parts->sentence), parts_(std::move(parts)) {}

}  // namespace aira
