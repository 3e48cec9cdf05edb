#include "aira/error.h"

#include <algorithm>

namespace aira {
namespace {

// Control characters never occur in a sentence: user text is escaped before it is quoted.
constexpr char kOpen = '\x01';
constexpr char kClose = '\x02';

/// `sentence` with each marked option replaced by spell(name).
template <typename Spell>
std::string spelled(std::string_view sentence, const Spell& spell) {
  std::string text;
  for (std::size_t open = 0; (open = sentence.find(kOpen)) != std::string_view::npos;) {
    const std::size_t close = sentence.find(kClose, open);
    text += sentence.substr(0, open);
    text += spell(std::string(sentence.substr(open + 1, close - open - 1)));
    sentence.remove_prefix(close + 1);
  }
  return text.append(sentence);
}

std::string flag(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

std::string field(const std::string& name) { return '"' + name + '"'; }

}  // namespace

std::string option(std::string_view name) { return kOpen + std::string(name) + kClose; }

Error::Error(const std::string& sentence)
    : std::runtime_error(spelled(sentence, flag)),
      with_fields_(std::make_shared<const std::string>(spelled(sentence, field))) {}

}  // namespace aira
