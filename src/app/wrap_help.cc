#include "app/wrap_help.h"

#include <algorithm>

namespace aira {
namespace {

/// The byte behind the first `columns` letters of `text`, or its end.
std::size_t end_of(std::string_view text, std::size_t columns) {
  std::size_t letters = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xC0U) != 0x80U;
    if (begins && letters++ == columns) return at;
  }
  return text.size();
}

/// Where to break `line` so that its first part fits; not beside the sign of "0 = off".
std::size_t break_of(std::string_view line, std::size_t columns) {
  std::size_t at = end_of(line, columns);
  if (at == line.size()) return std::string_view::npos;
  at = line.rfind(' ', at);
  while (at != std::string_view::npos && at > 0 && (line[at - 1] == '=' || line[at + 1] == '=')) {
    at = line.rfind(' ', at - 1);
  }
  return at;
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    for (;;) {
      const std::size_t at = break_of(line, columns);
      if (at == std::string::npos || at < indent) break;
      out.append(line, 0, at).append("\n");
      line = std::string(indent, ' ') + line.substr(at + 1);
    }
    out += line + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace aira
