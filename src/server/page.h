// The web chat, one page inside the program (page/chat.html).
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace aira {

/// The page, and a tag that changes with it (ETag).
std::pair<std::string_view, std::string> chat_page();

}  // namespace aira
