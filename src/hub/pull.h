// Brings a model of the hub into the cache: which of its files are needed, which of them are there,
// and the others.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aira/model_files.h"
#include "hub/cache.h"
#include "hub/repository.h"

namespace aira {

struct PullListener {
  std::function<bool()> go_on;                     // false ends it with Stopped
  std::function<void(const std::string&)> notice;  // a sentence
  std::function<void(std::int64_t)> got;           // bytes of the model that are here
  std::function<void(const RemoteFile&)> fetched;  // one more file
};

class Pull {
 public:
  struct File {
    RemoteFile remote;
    std::int64_t here = 0;  // bytes of it that need not be fetched
    bool whole = false;     // it is in the snapshot
  };

  Pull(Http& http, std::string id, std::string revision, HubCache cache, PullListener listener);

  /// Asks the hub which files are needed, and looks which are there; writes nothing. `check`: by
  /// their hashes and not only by their sizes. Throws Error for a repository that holds no model
  /// which this program runs, and what Http throws.
  void plan(bool check);
  /// Fetches what is missing, and then makes the revision mean this commit. Throws Error, Stopped.
  void run();

  const std::vector<File>& files() const { return files_; }
  const std::string& commit() const { return commit_; }
  std::int64_t bytes() const;    // of the files
  std::int64_t missing() const;  // of these
  /// What an adapter names as its base model; nothing for a whole model.
  const std::optional<std::string>& base() const { return base_; }

 private:
  void choose_model();
  void choose_adapter();
  void choose_tokenizer();
  const RemoteFile* listed(const std::string& name) const;
  /// Adds the file if it is there.
  bool choose(const std::string& name);
  ModelFiles in_memory(const std::string& name);
  bool is_whole(const std::filesystem::path& path, const RemoteFile& file, bool check) const;
  void require_space() const;
  void fetch(const RemoteFile& file);
  void download(const RemoteFile& file, const std::string& etag, bool take_over);

  Repository repository_;
  std::string id_;
  std::string revision_;
  HubCache cache_;
  PullListener listener_;
  bool check_ = false;
  std::string commit_;
  std::optional<std::string> base_;
  std::vector<RemoteFile> listing_;
  std::vector<File> files_;
  std::map<std::string, std::string> contents_;  // of small files that have been read
  std::int64_t before_ = 0;                      // bytes here, less those of the file in work
};

}  // namespace aira
