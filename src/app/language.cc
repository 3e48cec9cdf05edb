// The messages are part of the program and not looked up by the C library: its gettext needs an
// installed locale, which containers and WSL lack, and since glibc 2.39 it does not take C.UTF-8
// for one.
#include "app/language.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "app/config_file.h"
#include "app/output.h"
#include "base/catalogue.h"
#include "base/printable.h"

/// messages.S
extern "C" const char aira_messages_pt_BR[];

namespace aira {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// "pt" of "pt_BR.UTF-8", "pt-BR" or "pt".
std::string_view language_of(std::string_view locale) {
  return locale.substr(0, locale.find_first_of("_-.@"));
}

/// The locale's, or the first of $LANGUAGE's list that there is, unless the locale is C.
std::string_view language_of_locale() {
  std::string locale;
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    if (locale.empty()) locale = variable(name);
  }
  const std::string_view own = language_of(locale);
  if (own.empty() || own == "C" || own == "POSIX") return "en";
  const std::string list = variable("LANGUAGE");
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    for (const std::string_view known : {"pt", "en"}) {
      if (language_of(rest.substr(0, end)) == known) return known;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return own == "pt" && list.empty() ? "pt" : "en";
}

}  // namespace

bool speaks_portuguese() { return *aira_messages_pt_BR != '\0'; }

void choose_language() {
  std::string origin = "AIRA_LANG";
  std::string wanted = variable("AIRA_LANG");
  if (wanted.empty()) {
    origin = "language";
    wanted = configured_language().value_or("");
  }
  const std::string_view language =
      wanted.empty() ? language_of_locale() : language_of(std::string_view(wanted));
  if (language == "pt") {
    if (!use_catalogue(aira_messages_pt_BR) && !wanted.empty()) {
      note("this program was built without its messages in Portuguese, for want of msgfmt.");
    }
  } else if (language != "en") {
    note(origin + " is " + quote(wanted) + "; it must be pt or en.");
  }
}

}  // namespace aira
