// The web chat, one page inside the program (page/chat.html).
#pragma once

#include <string>
#include <string_view>

namespace aira {

struct ChatPage {
  std::string_view html;
  std::string tag;  // changes with the page: ETag
  std::string
      policy;  // Content-Security-Policy: its own style and script, this server, nothing else
};
const ChatPage& chat_page();

}  // namespace aira
