// What an input is written in: UTF-8, or UTF-16 that begins with a byte order mark. Anything else
// is found, never guessed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace aira {

/// UTF-8's byte order mark, a letter that means nothing at the beginning of a text.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Converts an input to UTF-8 as it is read. UTF-8 itself costs nothing.
class InputText {
 public:
  /// Converts what was read last, `text` from `from` on, in place; `last`: the input has ended. Up
  /// to three bytes are held back for the next call. Half a character of UTF-16 becomes a byte that
  /// is no UTF-8.
  void convert(std::string& text, std::size_t from, bool last);
  bool is_utf16() const { return format_ == Format::kUtf16Le || format_ == Format::kUtf16Be; }

 private:
  enum class Format : std::uint8_t { kUnknown, kUtf8, kUtf16Le, kUtf16Be };

  bool recognize(std::string_view bytes, bool last);

  Format format_ = Format::kUnknown;
  std::string held_;
};

/// Where `text` first has a NUL or a byte that is not UTF-8; npos when it is all text.
std::size_t find_no_text(std::string_view text);

}  // namespace aira
