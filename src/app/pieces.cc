#include "app/pieces.h"

#include "app/output.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {

std::string piece_text(std::string_view bytes, bool quoted) {
  std::string text;
  if (quoted) text += '"';
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8Step step = utf8_step(bytes.substr(at));
    const bool whole = step.kind == Utf8Kind::kLetter;
    const std::string_view part = bytes.substr(at, whole ? step.length : 1);
    at += part.size();
    if (part == "\\" || (quoted && part == "\"")) {
      text += '\\';
      text += part;
    } else if (part == "\n" || part == "\t") {
      text += part == "\n" ? "\\n" : "\\t";
    } else if (whole && step.code >= 0xA0 && is_space(step.code)) {
      text += format("\\u%04x", static_cast<unsigned>(step.code));
    } else {
      text += printable(part);
    }
  }
  if (quoted) text += '"';
  return text;
}

}  // namespace aira
