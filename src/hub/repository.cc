#include "hub/repository.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "base/printable.h"
#include "run/option_values.h"

namespace aira {
namespace {

constexpr std::int64_t kMostText = 64'000'000;  // bytes of a listing or an index
constexpr int kMostPages = 10'000;
constexpr IntegerRange kSizes = {0, std::int64_t{1} << 50U};

bool is_hex(const std::string& text, std::size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

class TextBody : public Body {
 public:
  explicit TextBody(std::string& text, std::string url) : text_(text), url_(std::move(url)) {
    text_.clear();
  }
  std::int64_t size() const override { return std::ssize(text_); }
  void restart() override { text_.clear(); }
  void add(std::string_view bytes) override {
    text_ += bytes;
    if (size() > kMostText)
      throw Error("[E634] {} sends more than {} MB where little was expected.",
                  {url_, std::to_string(kMostText / 1'000'000)});
  }

 private:
  std::string& text_;
  std::string url_;
};

/// The next page that the header Link names, on the host of `url`; or empty.
std::string next_page(const HttpAnswer& answer, const std::string& url) {
  const std::string link = answer.header("link");
  const std::size_t end = link.find(">; rel=\"next\"");
  const std::size_t begin = link.rfind('<', end);
  if (end == std::string::npos || begin == std::string::npos) return "";
  std::string next = link.substr(begin + 1, end - begin - 1);
  // A mirror may pass on the address of the hub, which is not to be asked.
  if (!next.starts_with('/')) next.erase(0, origin_of(next).size());
  return origin_of(url) + next;
}

/// `text` as JSON. Throws Error when it is not, such as a proxy's page.
nlohmann::json parse_answer(const std::string& text, const std::string& url) {
  try {
    return parse_json(text, url);
  } catch (const Error& error) {
    throw Error(
        "[E636] {} Perhaps HF_ENDPOINT is wrong, or a proxy or a login page of the network answers "
        "in the hub's place.",
        {error.what()});
  }
}

RemoteFile read_file(const nlohmann::json& value, const std::string& where) {
  const JsonObject entry(value, where);
  RemoteFile file;
  file.name = entry.text("path").value_or("");
  file.sha1 = entry.text("oid").value_or("");
  file.size = entry.integer("size", kSizes).value_or(-1);
  if (const nlohmann::json* lfs = entry.find("lfs")) {
    const JsonObject pointer(*lfs, where);
    file.sha256 = pointer.text("oid").value_or("");
    file.size = pointer.integer("size", kSizes).value_or(-1);
    if (!is_hex(file.sha256, 64)) file.name.clear();
  }
  if (file.name.empty() || file.size < 0 || (file.sha256.empty() && !is_hex(file.sha1, 40))) {
    throw Error("[E637] {} lists a file without a valid name, size or hash ({}).",
                {where, printable(value.dump(), 300)});
  }
  if (("/" + file.name + "/").find("/../") != std::string::npos || file.name.front() == '/') {
    throw Error("[E635] {} lists the file {}, whose name leads out of the model's folder.",
                {where, quote(file.name)});
  }
  return file;
}

}  // namespace

bool is_commit(const std::string& text) { return is_hex(text, 40); }

std::string Repository::file_url(const std::string& commit, const std::string& name) const {
  return http_.settings().endpoint + "/" + id_ + "/resolve/" + commit + "/" + url_encoded(name);
}

HttpAnswer Repository::get_text(const std::string& url, std::string& text) {
  TextBody body(text, url);
  return http_.get(url, body);
}

/// Throws an Error for what is not 200.
void Repository::require(const HttpAnswer& answer, const std::string& revision) const {
  if (answer.status / 100 == 2 || answer.status / 100 == 3) return;
  const std::string code = answer.header("x-error-code");
  const std::string name = quote(id_);
  const HubSettings& settings = http_.settings();
  if (code == "GatedRepo" && settings.token.empty()) {
    throw Error(
        "[E638] The model {} is gated: accept its terms at {} and put a token of yours into "
        "HF_TOKEN.",
        {name, settings.endpoint + "/" + id_});
  }
  if (code == "GatedRepo") {
    throw Error(
        "[E639] The model {} is gated, and the token of {} has no access: accept its terms at {}.",
        {name, printable(settings.token_place), settings.endpoint + "/" + id_});
  }
  if (code == "RevisionNotFound") {
    throw Error(
        "[E640] The model {} has no revision {}; the part after the @ must be a branch, a tag or a "
        "commit.",
        {name, quote(revision)});
  }
  if (answer.status == 401 && !settings.token.empty()) {
    throw Error("[E641] The hub does not accept the token of {}; make a new one at {}.",
                {printable(settings.token_place), settings.endpoint + "/settings/tokens"});
  }
  if (answer.status == 401 || code == "RepoNotFound") {
    throw Error(
        "[E642] The hub at {} has no model {}, or it is private; check the name, or put a token "
        "that "
        "has access into HF_TOKEN.",
        {settings.endpoint, name});
  }
  throw status_error(answer);
}

std::string Repository::commit(const std::string& revision) {
  const std::string url =
      http_.settings().endpoint + "/api/models/" + id_ + "/revision/" + url_encoded(revision);
  std::string text;
  require(get_text(url, text), revision);
  const nlohmann::json answer = parse_answer(text, url);
  const std::string commit = JsonObject(answer, url).text("sha").value_or("");
  if (!is_commit(commit)) {
    throw Error("[E643] The answer of {} names no commit; check HF_ENDPOINT and the proxy.", {url});
  }
  return commit;
}

std::vector<RemoteFile> Repository::files(const std::string& commit) {
  std::string url =
      http_.settings().endpoint + "/api/models/" + id_ + "/tree/" + commit + "?recursive=true";
  std::vector<RemoteFile> files;
  for (int page = 0; !url.empty() && page < kMostPages; ++page) {
    std::string text;
    const HttpAnswer answer = get_text(url, text);
    require(answer, commit);
    const nlohmann::json list = parse_answer(text, url);
    for (const nlohmann::json& entry : list) {
      if (entry.is_object() && entry.value("type", "") == "file") {
        files.push_back(read_file(entry, url));
      }
    }
    url = next_page(answer, url);
  }
  return files;
}

std::string Repository::etag(const std::string& commit, const RemoteFile& file) {
  const std::string url = file_url(commit, file.name);
  const HttpAnswer answer = http_.head(url);
  require(answer, commit);
  const auto strange = [&](const char* header) {
    throw Error(
        "[E644] {} is answered without a valid {}, so not by a Hugging Face hub; check HF_ENDPOINT "
        "and the proxy.",
        {url, header});
  };
  if (answer.header("x-repo-commit") != commit) strange("X-Repo-Commit");
  std::string etag = answer.header("x-linked-etag");
  if (etag.empty()) etag = answer.header("etag");
  if (etag.starts_with("W/")) etag.erase(0, 2);
  std::erase(etag, '"');
  // It becomes the name of a file.
  if (etag.empty() || etag.size() > 128 || etag.front() == '.' ||
      !std::all_of(etag.begin(), etag.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
      })) {
    strange("ETag");
  }
  std::string size = answer.header("x-linked-size");
  if (size.empty() && answer.status == 200) size = answer.header("content-length");
  if (!size.empty() && size != std::to_string(file.size)) {
    throw Error(
        "[E645] {} has {} bytes by its header and {} by the list of files; try again later.",
        {url, printable(size), std::to_string(file.size)});
  }
  return etag;
}

void Repository::get(const std::string& commit, const std::string& name, Body& body) {
  require(http_.get(file_url(commit, name), body), commit);
}

std::string Repository::text(const std::string& commit, const std::string& name) {
  std::string text;
  const HttpAnswer answer = get_text(file_url(commit, name), text);
  require(answer, commit);
  return text;
}

}  // namespace aira
