#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

#include "aira/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "text/tokenizer_files.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace aira {
namespace {

using Step = std::function<std::string(std::string_view)>;

struct Range {
  char32_t first, last;
};
constexpr Range kLate[] = {
#include "text/unicode_late.inc"
};

/// Whether the normalizers of `tokenizers` know nothing of `code`.
bool is_late(char32_t code) {
  const auto* at = std::lower_bound(std::begin(kLate), std::end(kLate), code,
                                    [](const Range& one, char32_t c) { return one.last < c; });
  return at != std::end(kLate) && at->first <= code;
}

/// `text` in a normalization form: utf8proc's `options`.
std::string map_to_form(std::string_view text, int options) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                 static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0) throw std::bad_alloc();  // valid UTF-8 has no other way to fail
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

/// The same as `tokenizers` does it: a late letter stays, and nothing combines across it.
std::string to_form(std::string_view text, int options) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (!is_late(next_code_point(text, at))) continue;
    out += map_to_form(text.substr(done, begin - done), options);
    out += text.substr(begin, at - begin);
    done = at;
  }
  return out += map_to_form(text.substr(done), options);
}

/// Calls visit(code point, its bytes) for each letter.
template <typename Visit>
void each_letter(std::string_view text, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t code = next_code_point(text, at);
    visit(code, text.substr(begin, at - begin));
  }
}

std::string lowercase(std::string_view text) {
  std::string out;
  each_letter(text, [&](char32_t code, std::string_view /*bytes*/) {
    if (code == 0x130) {  // the one letter whose lower case is two
      out += "i\xCC\x87";
    } else {
      const auto lower = utf8proc_tolower(static_cast<utf8proc_int32_t>(code));
      append_utf8(static_cast<char32_t>(lower), out);
    }
  });
  return out;
}

std::string without_marks(std::string_view text) {
  std::string out;
  each_letter(text, [&](char32_t code, std::string_view bytes) {
    const int category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
    const bool mark = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
    if (!mark || is_late(code)) out += bytes;
  });
  return out;
}

std::string stripped(std::string_view text, bool left, bool right) {
  if (left) text.remove_prefix(space_end(text, 0));
  if (right) text = text.substr(0, space_begin(text, text.size(), 0));
  return std::string(text);
}

std::string replaced(std::string_view text, const Pattern& pattern, const std::string& content) {
  std::string out;
  std::size_t done = 0;
  for (const auto& [begin, end] : pattern.find_all(text)) {
    out.append(text.substr(done, begin - done)).append(content);
    done = end;
  }
  return out.append(text.substr(done));
}

Step make_step(const JsonObject& settings, const std::string& where) {
  const std::string type = settings.text("type").value_or("");
  const std::pair<const char*, int> forms[] = {{"NFC", UTF8PROC_COMPOSE},
                                               {"NFD", UTF8PROC_DECOMPOSE},
                                               {"NFKC", UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
                                               {"NFKD", UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT}};
  for (const auto& [name, options] : forms) {
    if (type == name) return [options = options](auto text) { return to_form(text, options); };
  }
  if (type == "Lowercase") return lowercase;
  if (type == "StripAccents") return without_marks;
  if (type == "ByteLevel") return letters_of;
  if (type == "Strip") {
    const bool left = settings.boolean("strip_left").value_or(false);
    const bool right = settings.boolean("strip_right").value_or(false);
    return [left, right](auto text) { return stripped(text, left, right); };
  }
  if (type == "Prepend") {
    return [prefix = settings.text("prepend").value_or("")](auto text) {
      return text.empty() ? std::string() : std::string(prefix).append(text);
    };
  }
  if (type == "Replace") {
    return [pattern = read_pattern(settings, where),
            content = settings.text("content").value_or("")](auto text) {
      return replaced(text, pattern, content);
    };
  }
  throw Error("[E353] {}: the normalizer {} is not supported.", {where, quote(type)});
}

}  // namespace

Normalizer::Normalizer(const std::vector<const nlohmann::json*>& components,
                       const std::string& where) {
  for (const nlohmann::json* component : components) {
    steps_.push_back(make_step(JsonObject(*component, where + ": \"normalizer\""), where));
  }
}

std::string Normalizer::operator()(std::string_view text) const {
  std::string out(text);
  for (const Step& step : steps_) out = step(out);
  return out;
}

}  // namespace aira
