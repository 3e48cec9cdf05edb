#include "hub/curl.h"

#include "aira/error.h"
#include "base/dynamic_library.h"
#include "base/printable.h"

namespace aira {
namespace {

#ifdef AIRA_STATIC

Curl load() {
  return {&::curl_global_init,  &::curl_easy_init,     &::curl_easy_reset,    &::curl_easy_setopt,
          &::curl_easy_perform, &::curl_easy_getinfo,  &::curl_easy_strerror, &::curl_easy_cleanup,
          &::curl_slist_append, &::curl_slist_free_all};
}

#else

Curl load() {
  const DynamicLibrary library({"libcurl.so.4", "libcurl-gnutls.so.4"});
  if (!library) {
    throw Error(
        "[E623] Fetching needs libcurl, which cannot be loaded ({}); install it (Debian: apt-get "
        "install libcurl4).",
        {printable(library.problem())});
  }
  const auto find = [&](auto& function, const char* name) {
    if (library.find(function, name)) return;
    throw Error("[E624] The installed libcurl has no function {}; install libcurl 7.66 or later.",
                {name});
  };
  Curl curl{};
  find(curl.global_init, "curl_global_init");
  find(curl.init, "curl_easy_init");
  find(curl.reset, "curl_easy_reset");
  find(curl.set, "curl_easy_setopt");
  find(curl.perform, "curl_easy_perform");
  find(curl.info, "curl_easy_getinfo");
  find(curl.strerror, "curl_easy_strerror");
  find(curl.cleanup, "curl_easy_cleanup");
  find(curl.append, "curl_slist_append");
  find(curl.free_all, "curl_slist_free_all");
  return curl;
}

#endif

}  // namespace

const Curl& curl() {
  static const Curl functions = [] {
    Curl loaded = load();
    loaded.global_init(CURL_GLOBAL_DEFAULT);
    return loaded;
  }();
  return functions;
}

}  // namespace aira
