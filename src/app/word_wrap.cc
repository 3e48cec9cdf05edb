#include "app/word_wrap.h"

#include <utf8proc.h>

#include <limits>
#include <utility>

#include "base/printable.h"
#include "base/utf8.h"

namespace aira {

/// The word ends here: it and the blanks before it go out.
void WordWrap::end_word() {
  if (word_.empty()) return;
  out_ += blanks_ + word_;
  column_ += blanks_width_ + word_width_;
  if (column_ > columns_) column_ = (column_ - 1) % columns_ + 1;  // the terminal's own breaks
  blanks_.clear();
  word_.clear();
  blanks_width_ = word_width_ = 0;
}

void WordWrap::break_line() {
  out_ += '\n';
  blanks_.clear();
  column_ = blanks_width_ = 0;
  first_word_ = true;
}

void WordWrap::take(std::string_view letter, char32_t code) {
  if (code == '\n') {
    end_word();
    break_line();
    return;
  }
  if (code == '\r') return;
  if (code == ' ' || code == '\t') {
    end_word();
    blanks_ += letter;
    blanks_width_ += code == ' ' ? 1 : 8 - (column_ + blanks_width_) % 8;
    if (column_ > 0) first_word_ = false;
    return;
  }
  const bool control = is_control(code);
  const int width = control ? 1 : utf8proc_charwidth(static_cast<utf8proc_int32_t>(code));
  if (width == 2) end_word();
  if (!first_word_ && column_ + blanks_width_ + word_width_ + width > columns_) break_line();
  word_ += control ? kReplacement : letter;
  word_width_ += width;
  if (width == 2 || first_word_) end_word();
  if (width == 2) first_word_ = false;
}

std::string WordWrap::push(std::string_view text, int columns) {
  if (columns <= 0) columns = std::numeric_limits<int>::max() / 2;
  // What was printed before the width changed is where the terminal has put it.
  if (column_ > columns) column_ = (column_ - 1) % columns + 1;
  columns_ = columns;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t code = next_code_point(text, at);
    take(text.substr(begin, at - begin), code);
  }
  return std::exchange(out_, {});
}

std::string WordWrap::finish() {
  end_word();
  std::string rest = std::move(out_);
  *this = {};
  return rest;
}

}  // namespace aira
