// What keys mean to libedit.
#include <algorithm>
#include <array>

#include "app/line_editor.h"
#include "base/utf8.h"

namespace aira {
namespace {

/// Letters that no keyboard sends stand for keys.
constexpr wchar_t kText = 0x90;
constexpr wchar_t kNewLine = 0x91;
constexpr wchar_t kLineUp = 0x92;
constexpr wchar_t kLineDown = 0x93;

struct Binding {
  const char* key;  // as EL_BIND has it
  const char* function;
};

/// In all of libedit's modes.
constexpr auto kKeys = std::to_array<Binding>({{"\\220", "aira-text"},
                                               {"\\221", "aira-new-line"},
                                               {"\\222", "ed-prev-line"},
                                               {"\\223", "ed-next-line"}});

/// The sequences of xterm, screen, tmux, rxvt and the Linux console after ESC; in emacs mode.
constexpr auto kSequences = std::to_array<Binding>({
    {"[1;5D", "ed-prev-word"},
    {"[5D", "ed-prev-word"},
    {"O5D", "ed-prev-word"},
    {"Od", "ed-prev-word"},
    {"[1;3D", "ed-prev-word"},
    {"[1;5C", "em-next-word"},
    {"[5C", "em-next-word"},
    {"O5C", "em-next-word"},
    {"Oc", "em-next-word"},
    {"[1;3C", "em-next-word"},
    {"[1~", "ed-move-to-beg"},
    {"[7~", "ed-move-to-beg"},
    {"[4~", "ed-move-to-end"},
    {"[8~", "ed-move-to-end"},
    {"[3~", "ed-delete-next-char"},
});

bool in_emacs_mode(EditLine* editor) {
  const char* mode = nullptr;
  ::el_get(editor, EL_EDITOR, &mode);
  return mode != nullptr && std::string_view(mode) == "emacs";
}

std::wstring wide(std::string_view valid) {
  std::wstring text;
  for (std::size_t at = 0; at < valid.size();) {
    text += static_cast<wchar_t>(next_code_point(valid, at));
  }
  return text;
}

/// What stands before or after the cursor.
std::wstring_view before_cursor(EditLine* editor) {
  const LineInfoW& line = *::el_wline(editor);
  return {line.buffer, static_cast<std::size_t>(line.cursor - line.buffer)};
}

std::wstring_view after_cursor(EditLine* editor) {
  const LineInfoW& line = *::el_wline(editor);
  return {line.cursor, static_cast<std::size_t>(line.lastchar - line.cursor)};
}

/// The longest text that all begin with.
std::string common_beginning(const std::vector<std::string>& words) {
  std::string common = words.front();
  for (const std::string& word : words) {
    const auto [end, other] = std::mismatch(common.begin(), common.end(), word.begin(), word.end());
    common.erase(end, common.end());
  }
  return common;
}

}  // namespace

std::string utf8_of(std::wstring_view letters) {
  std::string text;
  for (const wchar_t letter : letters) append_utf8(static_cast<char32_t>(letter), text);
  return text;
}

void LineEditor::bind_keys() {
  ::el_set(editor_, EL_ADDFN, "aira-text", "Insert a paste", insert_text);
  ::el_set(editor_, EL_ADDFN, "aira-new-line", "Insert a line break", insert_new_line);
  ::el_set(editor_, EL_ADDFN, "aira-complete", "Complete a command", complete);
  ::el_set(editor_, EL_BIND, "^I", "aira-complete", nullptr);
  for (const Binding& row : kKeys) {
    ::el_set(editor_, EL_BIND, row.key, row.function, nullptr);
    ::el_set(editor_, EL_BIND, "-a", row.key, row.function, nullptr);
  }
  if (!in_emacs_mode(editor_)) return;
  for (const Binding& row : kSequences) {
    const std::string key = std::string("\\e") + row.key;
    ::el_set(editor_, EL_BIND, key.c_str(), row.function, nullptr);
  }
}

/// Reads one letter for libedit: -1 after Ctrl-C, 0 at the end of the input. libedit's own reader
/// would miss a Ctrl-C that comes just before it begins to wait.
int LineEditor::read_letter(EditLine* editor, wchar_t* letter) {
  LineEditor& self = of(editor);
  while (self.queue_.empty()) {
    const Key key = self.keys_.next();
    if (key.kind == Key::Kind::kEnd) return 0;
    if (key.kind == Key::Kind::kStopped) return -1;
    if (const wchar_t found = self.meaning(key)) self.queue_ = found;
  }
  *letter = self.queue_.front();
  self.queue_.erase(0, 1);
  return 1;
}

/// The letter that makes libedit do what the key means; 0 when it is nothing, or in queue_.
wchar_t LineEditor::meaning(const Key& key) {
  switch (key.kind) {
    case Key::Kind::kLetter:
      return meaning_of_letter(key.letter);
    case Key::Kind::kBroken:
      broken_ = true;
      return meaning_of_letter(U'\uFFFD');
    case Key::Kind::kText:
      broken_ |= !key.sound;
      text_ = key.text;
      if (text_.size() <= room()) return kText;
      return refuse(!key.pasted);
    case Key::Kind::kSequence:
      return meaning_of_sequence(key.text);
    default:
      return kNewLine;
  }
}

wchar_t LineEditor::meaning_of_letter(char32_t letter) {
  const std::wstring_view before = before_cursor(editor_);
  if (letter == '\n' || letter == '\r') {
    if (!before.ends_with('\\') || !after_cursor(editor_).empty()) return L'\n';
    ::el_deletestr(editor_, 1);
    return kNewLine;
  }
  if (letter >= 0x20 && letter != 0x7F && room() == 0) return refuse(true);
  return static_cast<wchar_t>(letter);
}

wchar_t LineEditor::meaning_of_sequence(const std::string& sequence) {
  const bool arrow = sequence.size() == 2 && std::string_view("ABCDHF").find(sequence[1]) < 6;
  if (arrow && sequence[1] == 'A' && before_cursor(editor_).find(L'\n') != std::string::npos) {
    return kLineUp;
  }
  if (arrow && sequence[1] == 'B' && after_cursor(editor_).find(L'\n') != std::string::npos) {
    return kLineDown;
  }
  const auto is_it = [&](const Binding& row) { return row.key == sequence; };
  // libedit itself binds the arrow keys, Home and End.
  if (arrow ||
      (in_emacs_mode(editor_) && std::any_of(kSequences.begin(), kSequences.end(), is_it))) {
    queue_ = L'\x1b' + wide(sequence);
  }
  return 0;
}

/// How many more bytes the line may have, about: its letters count as one each.
std::size_t LineEditor::room() const {
  const std::size_t length = before_cursor(editor_).size() + after_cursor(editor_).size();
  return kLongestQuestion - std::min(kLongestQuestion, length);
}

/// Ends a line that is too long.
wchar_t LineEditor::refuse(bool goes_on) {
  if (goes_on) keys_.skip_line();
  too_long_ = true;
  return L'\n';
}

unsigned char LineEditor::insert_text(EditLine* editor, int /*key*/) {
  ::el_winsertstr(editor, wide(of(editor).text_).c_str());
  return CC_REFRESH;
}

unsigned char LineEditor::insert_new_line(EditLine* editor, int /*key*/) {
  ::el_winsertstr(editor, L"\n");
  return CC_REFRESH;
}

/// In a command; elsewhere a tab is a blank.
unsigned char LineEditor::complete(EditLine* editor, int /*key*/) {
  LineEditor& self = of(editor);
  const std::string line = utf8_of(before_cursor(editor));
  if (!line.starts_with('/') || !after_cursor(editor).empty()) {
    ::el_winsertstr(editor, L" ");
    return CC_REFRESH;
  }
  const std::vector<std::string> words = self.complete_(line);
  if (words.empty()) return CC_ERROR;
  const std::string typed = line.substr(line.find_last_of(" \t\n") + 1);
  const std::string common = common_beginning(words) + (words.size() == 1 ? " " : "");
  if (common != typed) {
    ::el_deletestr(editor, static_cast<int>(wide(typed).size()));
    ::el_winsertstr(editor, wide(common).c_str());
    return CC_REFRESH;
  }
  std::string list = "\n";
  for (const std::string& word : words) list += word + "  ";
  self.print(list + "\n");
  ::el_set(editor, EL_REFRESH);
  return CC_NORM;
}

}  // namespace aira
