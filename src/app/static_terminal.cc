// A static program finds no locale of its C library on the machine, and in a container often no
// description of the terminal either. What libedit asks of them is answered here, as the linker's
// --wrap directs: text is UTF-8, and a terminal without a description is like xterm.
#include <utf8proc.h>

#include <array>
#include <cstring>
#include <cwchar>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace aira {
namespace {

constexpr std::size_t kFailed = static_cast<std::size_t>(-1);

utf8proc_category_t category(wint_t letter) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(letter));
}

bool is_letter(wint_t letter) {
  return category(letter) >= UTF8PROC_CATEGORY_LU && category(letter) <= UTF8PROC_CATEGORY_LO;
}

bool is_number(wint_t letter) {
  return category(letter) >= UTF8PROC_CATEGORY_ND && category(letter) <= UTF8PROC_CATEGORY_NO;
}

std::string utf8(wchar_t letter) {
  std::string text;
  append_utf8(static_cast<char32_t>(letter), text);
  return text;
}

struct Capability {
  const char* name;  // termcap's
  const char* text;  // terminfo's notation
};

constexpr auto kXterm = std::to_array<Capability>({
    {"ce", "\033[K"},
    {"cd", "\033[J"},
    {"cl", "\033[H\033[2J"},
    {"ho", "\033[H"},
    {"up", "\033[A"},
    {"nd", "\033[C"},
    {"le", "\b"},
    {"do", "\n"},
    {"dc", "\033[P"},
    {"ic", "\033[@"},
    {"ch", "\033[%i%p1%dG"},
    {"UP", "\033[%p1%dA"},
    {"DO", "\033[%p1%dB"},
    {"RI", "\033[%p1%dC"},
    {"LE", "\033[%p1%dD"},
    {"DC", "\033[%p1%dP"},
    {"IC", "\033[%p1%d@"},
});

bool described = true;  // by terminfo
bool dumb = false;      // without a description, and has none of these

}  // namespace

extern "C" {

int __real_tgetent(char* buffer, const char* type);
char* __real_tgetstr(const char* name, char** area);
int __real_tgetflag(const char* name);
int __real_tgetnum(const char* name);

int __wrap_tgetent(char* buffer, const char* type) {
  const int found = __real_tgetent(buffer, type);
  described = found > 0;
  dumb = std::strcmp(type, "dumb") == 0;
  return 1;
}

char* __wrap_tgetstr(const char* name, char** area) {
  if (described) return __real_tgetstr(name, area);
  for (const Capability& row : kXterm) {
    if (!dumb && std::strcmp(row.name, name) == 0) return const_cast<char*>(row.text);
  }
  return nullptr;
}

/// Writes in the last column do not scroll until the next letter comes.
int __wrap_tgetflag(const char* name) {
  if (described) return __real_tgetflag(name);
  return std::strcmp(name, "am") == 0 || std::strcmp(name, "xn") == 0;
}

int __wrap_tgetnum(const char* name) { return described ? __real_tgetnum(name) : -1; }

int __wrap_wctomb(char* out, wchar_t letter) {
  if (out == nullptr) return 0;
  const std::string bytes = utf8(letter);
  std::memcpy(out, bytes.data(), bytes.size());
  return static_cast<int>(bytes.size());
}

std::size_t __wrap_wcrtomb(char* out, wchar_t letter, std::mbstate_t* /*state*/) {
  return out == nullptr ? 1 : static_cast<std::size_t>(__wrap_wctomb(out, letter));
}

std::size_t __wrap_mbstowcs(wchar_t* out, const char* bytes, std::size_t room) {
  const std::string_view text = bytes;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    const Utf8Step step = utf8_step(text.substr(at));
    if (step.kind != Utf8Kind::kLetter) return kFailed;
    if (out != nullptr && count == room) return count;
    if (out != nullptr) out[count] = static_cast<wchar_t>(step.code);
    at += step.length;
  }
  if (out != nullptr && count < room) out[count] = L'\0';
  return count;
}

std::size_t __wrap_wcstombs(char* out, const wchar_t* text, std::size_t room) {
  std::string bytes;
  for (; *text != L'\0'; ++text) {
    const std::string letter = utf8(*text);
    if (out != nullptr && bytes.size() + letter.size() > room) break;
    bytes += letter;
  }
  if (out != nullptr) std::memcpy(out, bytes.c_str(), bytes.size() + (bytes.size() < room ? 1 : 0));
  return bytes.size();
}

int __wrap_wcwidth(wchar_t letter) {
  return utf8proc_charwidth(static_cast<utf8proc_int32_t>(letter));
}

int __wrap_iswgraph(wint_t letter) {
  return category(letter) >= UTF8PROC_CATEGORY_LU && category(letter) <= UTF8PROC_CATEGORY_SO;
}

int __wrap_iswprint(wint_t letter) {
  return __wrap_iswgraph(letter) != 0 || category(letter) == UTF8PROC_CATEGORY_ZS;
}

int __wrap_iswalpha(wint_t letter) { return is_letter(letter); }
int __wrap_iswalnum(wint_t letter) { return is_letter(letter) || is_number(letter); }
int __wrap_iswupper(wint_t letter) { return category(letter) == UTF8PROC_CATEGORY_LU; }
int __wrap_iswlower(wint_t letter) { return category(letter) == UTF8PROC_CATEGORY_LL; }

wint_t __wrap_towupper(wint_t letter) {
  return static_cast<wint_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(letter)));
}

wint_t __wrap_towlower(wint_t letter) {
  return static_cast<wint_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(letter)));
}

}  // extern "C"
}  // namespace aira
