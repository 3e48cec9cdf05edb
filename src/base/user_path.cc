#include "base/user_path.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace aira {
namespace {

/// The user of that name, else the one who runs this; null when there is none.
const passwd* find_user(const std::string& name) {
#ifdef AIRA_STATIC  // getpwnam would load modules of another C library
  std::FILE* file = std::fopen("/etc/passwd", "re");
  if (file == nullptr) return nullptr;
  const passwd* entry = ::fgetpwent(file);
  while (entry != nullptr &&
         (name.empty() ? entry->pw_uid != ::getuid() : name != entry->pw_name)) {
    entry = ::fgetpwent(file);
  }
  std::fclose(file);
  return entry;
#else
  return name.empty() ? ::getpwuid(::getuid()) : ::getpwnam(name.c_str());
#endif
}

std::string expand_user(std::string_view path) {
  if (!path.starts_with('~')) return std::string(path);
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string user(path.substr(1, end - 1));
  const char* home = user.empty() ? std::getenv("HOME") : nullptr;
  if (home == nullptr) {
    const passwd* entry = find_user(user);
    if (entry == nullptr) return std::string(path);
    home = entry->pw_dir;
  }
  std::string folder = home;
  while (folder.ends_with('/')) folder.pop_back();
  folder += path.substr(end);
  return folder.empty() ? "/" : folder;
}

bool is_letter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::string expand_path(std::string_view path) {
  const std::string text = expand_user(path);
  std::string expanded;
  for (std::size_t at = 0; at < text.size();) {
    const bool braces = text.compare(at, 2, "${") == 0;
    std::size_t begin = at + (braces ? 2 : 1);
    std::size_t end = begin;
    if (braces) end = std::min(text.find('}', begin), text.size());
    while (!braces && end < text.size() && is_letter(text[end])) ++end;
    const char* value = text[at] == '$' && end > begin
                            ? std::getenv(text.substr(begin, end - begin).c_str())
                            : nullptr;
    if (value != nullptr && (!braces || end < text.size())) {
      expanded += value;
      at = end + (braces ? 1 : 0);
    } else {
      expanded += text[at++];
    }
  }
  return expanded;
}

}  // namespace aira
