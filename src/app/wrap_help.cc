#include "app/wrap_help.h"

#include <algorithm>
#include <cctype>

#include "base/utf8.h"

namespace aira {
namespace {

/// Whether the blank stands inside "0 = off" or "0 desliga".
bool is_inside(std::string_view line, std::size_t blank) {
  return blank > 0 && (line[blank - 1] == '=' || line[blank + 1] == '=' ||
                       std::isdigit(static_cast<unsigned char>(line[blank - 1])) != 0);
}

/// Where to break `line` so that its first part fits.
std::size_t break_of(std::string_view line, std::size_t columns) {
  std::size_t at = end_of_letters(line, columns);
  if (at == line.size()) return std::string_view::npos;
  at = line.rfind(' ', at);
  while (at != std::string_view::npos && is_inside(line, at)) at = line.rfind(' ', at - 1);
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
