#include "aira/error.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/catalogue.h"

namespace aira {
namespace {

// Control characters never occur in a sentence: user text is escaped before it is quoted.
constexpr char kOpen = '\x01';
constexpr char kClose = '\x02';

const char* catalogue = nullptr;

/// The 32-bit number at byte `at` of the catalogue.
std::uint32_t number_at(std::uint32_t at) {
  std::uint32_t number = 0;
  std::memcpy(&number, catalogue + at, sizeof number);
  return number;
}

/// msgfmt's file: a mark, a version, how many messages there are, and where the tables of their
/// originals, which are sorted, and of their translations are: a length and a place each.
const char* translated(const char* text) {
  if (catalogue == nullptr || *text == '\0') return text;  // the translation of "" is a header
  const std::uint32_t originals = number_at(12);
  const std::uint32_t translations = number_at(16);
  std::uint32_t low = 0;
  for (std::uint32_t high = number_at(8); low < high;) {
    const std::uint32_t middle = (low + high) / 2;
    const int order = std::strcmp(text, catalogue + number_at(originals + 8 * middle + 4));
    if (order == 0) return catalogue + number_at(translations + 8 * middle + 4);
    (order < 0 ? high : low) = middle + (order < 0 ? 0 : 1);
  }
  return text;
}

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

bool use_catalogue(const char* messages) {
  catalogue = messages;
  return messages != nullptr && number_at(8) > 0;
}

const char* catalogue_in_use() { return catalogue; }

std::string system_message(int error) {
  // Those that users meet; the rest stays as the C library says it.
  [[maybe_unused]] static constexpr const char* kCommon[] = {
      to_translate("Permission denied"),       to_translate("No such file or directory"),
      to_translate("Is a directory"),          to_translate("Not a directory"),
      to_translate("No space left on device"), to_translate("Read-only file system"),
      to_translate("Disk quota exceeded"),     to_translate("File too large"),
      to_translate("File name too long"),      to_translate("Input/output error"),
      to_translate("Too many open files"),     to_translate("Too many levels of symbolic links"),
      to_translate("Cannot allocate memory"),  to_translate("Resource temporarily unavailable"),
      to_translate("Operation not permitted"), to_translate("Bad file descriptor"),
      to_translate("Invalid argument"),
  };
  return message(std::generic_category().message(error).c_str());
}

std::string message(const char* pattern, std::initializer_list<std::string_view> values) {
  std::string_view rest = translated(pattern);
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
