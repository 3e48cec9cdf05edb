#include "server/page.h"

#include <sha2.h>

#include <array>
#include <cstdint>

#include "base/digest.h"

extern "C" const char aira_chat_page[];  // page.S
extern "C" const char aira_chat_page_end[];

namespace aira {
namespace {

using Sha256 = std::array<std::uint8_t, SHA256_DIGEST_LENGTH>;

std::string base64(const Sha256& bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) { return at < bytes.size() ? bytes[at] : 0U; };
    const std::uint32_t three = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    for (unsigned shift : {18U, 12U, 6U, 0U}) text += kDigits[three >> shift & 63U];
  }
  const std::size_t missing = (3 - bytes.size() % 3) % 3;
  return text.replace(text.size() - missing, missing, missing, '=');
}

/// 'sha256-...' of what stands between <name> and </name>.
std::string source_of(std::string_view html, const std::string& name) {
  const std::string open = "<" + name + ">";
  const std::size_t first = html.find(open) + open.size();
  const std::string_view text = html.substr(first, html.find("</" + name + ">") - first);
  SHA2_CTX state;
  SHA256Init(&state);
  SHA256Update(&state, reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  Sha256 bytes{};
  SHA256Final(bytes.data(), &state);
  return "'sha256-" + base64(bytes) + "'";
}

ChatPage make_page() {
  const std::string_view html(aira_chat_page,
                              static_cast<std::size_t>(aira_chat_page_end - aira_chat_page));
  return {.html = html,
          .tag = "\"" + hex(digest(html)) + "\"",
          .policy = "default-src 'none'; style-src " + source_of(html, "style") + "; script-src " +
                    source_of(html, "script") +
                    "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'"};
}

}  // namespace

const ChatPage& chat_page() {
  static const ChatPage page = make_page();
  return page;
}

}  // namespace aira
