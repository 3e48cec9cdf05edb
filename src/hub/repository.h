// What the hub's public interface says of one model's repository.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hub/http.h"

namespace aira {

struct RemoteFile {
  std::string name;  // with / for folders; as untrusted as the rest
  std::int64_t size = 0;
  std::string sha256;  // of a file that LFS keeps; else empty
  std::string sha1;    // git's
  /// The one that counts.
  const std::string& hash() const { return sha256.empty() ? sha1 : sha256; }
};

/// Errors name the model as the user wrote it, and what the hub says of the reason.
class Repository {
 public:
  Repository(Http& http, std::string id) : http_(http), id_(std::move(id)) {}

  /// The commit that `revision` means now.
  std::string commit(const std::string& revision);
  std::vector<RemoteFile> files(const std::string& commit);
  /// The name of the file's content: its ETag.
  std::string etag(const std::string& commit, const RemoteFile& file);
  /// The file's bytes, behind those that `body` has.
  void get(const std::string& commit, const std::string& name, Body& body);
  /// The same for a small file.
  std::string text(const std::string& commit, const std::string& name);

 private:
  std::string file_url(const std::string& commit, const std::string& name) const;
  HttpAnswer get_text(const std::string& url, std::string& text);
  void require(const HttpAnswer& answer, const std::string& revision) const;

  Http& http_;
  std::string id_;
};

/// Whether `text` is a commit and no name for one.
bool is_commit(const std::string& text);

}  // namespace aira
