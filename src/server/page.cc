#include "server/page.h"

#include "base/digest.h"

extern "C" const char aira_chat_page[];  // page.S
extern "C" const char aira_chat_page_end[];

namespace aira {

std::pair<std::string_view, std::string> chat_page() {
  const std::string_view html(aira_chat_page,
                              static_cast<std::size_t>(aira_chat_page_end - aira_chat_page));
  return {html, "\"" + hex(digest(html)) + "\""};
}

}  // namespace aira
