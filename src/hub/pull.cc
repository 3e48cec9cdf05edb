#include "hub/pull.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "base/printable.h"
#include "model/adapter.h"
#include "model/checkpoint.h"
#include "model/config.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = std::size_t{1} << 20U;

/// What is read beside weights and tokenizer, or ought to be by people. Repositories also hold the
/// states of optimizers, which are larger than the models.
constexpr auto kBeside = std::to_array<const char*>(
    {"generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
     "added_tokens.json", "chat_template.jinja", "README.md", "LICENSE", "LICENSE.txt",
     "LICENSE.md"});
/// The first of these that is there.
constexpr auto kWeights =
    std::to_array<const char*>({"model.safetensors", "model.safetensors.index.json",
                                "pytorch_model.bin", "pytorch_model.bin.index.json"});
constexpr auto kAdapterWeights =
    std::to_array<const char*>({"adapter_model.safetensors", "adapter_model.bin"});

/// Of the kind that the hub has of the file.
Hash hash_for(const RemoteFile& file) {
  return Hash(file.sha256.empty() ? HashKind::kGitBlob : HashKind::kSha256,
              static_cast<std::uint64_t>(file.size));
}

/// Into a file of the cache.
class FileBody : public Body {
 public:
  FileBody(PartialFile& part, const RemoteFile& file, std::function<void(std::int64_t)> got)
      : part_(part), file_(file), got_(std::move(got)), hash_(new_hash()) {
    if (part.size() > file.size) part.restart();
    std::string buffer(kBlock, '\0');
    for (std::int64_t at = 0; at < part.size();) {
      const std::string_view bytes = part.read(at, buffer);
      if (bytes.empty()) break;
      hash_.add(bytes);
      at += std::ssize(bytes);
    }
    got_(size());
  }
  std::int64_t size() const override { return part_.size(); }
  void restart() override {
    part_.restart();
    hash_ = new_hash();
  }
  void add(std::string_view bytes) override {
    if (size() + std::ssize(bytes) > file_.size) {
      part_.drop();
      throw Error("[E648] {} came with more than its {} bytes; try again later.",
                  {quote(file_.name), std::to_string(file_.size)});
    }
    part_.add(bytes);
    hash_.add(bytes);
    got_(size());
  }
  /// To be asked once.
  std::string hash() { return hash_.hex(); }

 private:
  Hash new_hash() const { return hash_for(file_); }

  PartialFile& part_;
  const RemoteFile& file_;
  std::function<void(std::int64_t)> got_;
  Hash hash_;
};

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Pull::Pull(Http& http, std::string id, std::string revision, HubCache cache, PullListener listener)
    : repository_(http, id),
      id_(std::move(id)),
      revision_(std::move(revision)),
      cache_(std::move(cache)),
      listener_(std::move(listener)) {}

std::int64_t Pull::bytes() const {
  return std::accumulate(files_.begin(), files_.end(), std::int64_t{0},
                         [](std::int64_t sum, const File& one) { return sum + one.remote.size; });
}

std::int64_t Pull::missing() const {
  return std::accumulate(
      files_.begin(), files_.end(), std::int64_t{0},
      [](std::int64_t sum, const File& one) { return sum + one.remote.size - one.here; });
}

const RemoteFile* Pull::listed(const std::string& name) const {
  const auto found = std::find_if(listing_.begin(), listing_.end(),
                                  [&](const RemoteFile& file) { return file.name == name; });
  return found == listing_.end() ? nullptr : &*found;
}

bool Pull::choose(const std::string& name) {
  const RemoteFile* const file = listed(name);
  if (file == nullptr) return false;
  File one{*file};
  one.whole = is_whole(cache_.snapshot(commit_) / name, *file, check_);
  if (one.whole || is_whole(cache_.blob(file->hash()), *file, check_)) {
    one.here = file->size;
  } else if (const fs::path left = cache_.largest_leftover(file->hash()); !left.empty()) {
    std::error_code problem;
    one.here = std::min(static_cast<std::int64_t>(fs::file_size(left, problem)), file->size);
  }
  files_.push_back(one);
  return true;
}

bool Pull::is_whole(const fs::path& path, const RemoteFile& file, bool check) const {
  std::error_code problem;
  if (static_cast<std::int64_t>(fs::file_size(path, problem)) != file.size || problem) return false;
  if (!check) return true;
  Hash hash = hash_for(file);
  std::ifstream bytes(path, std::ios::binary);
  std::string block(kBlock, '\0');
  while (bytes.read(block.data(), std::ssize(block)) || bytes.gcount() > 0) {
    hash.add({block.data(), static_cast<std::size_t>(bytes.gcount())});
    if (!listener_.go_on()) throw Stopped();
  }
  return hash.hex() == file.hash();
}

/// A model of that file alone, which is small: from the cache, else from the hub.
ModelFiles Pull::in_memory(const std::string& name) {
  const File& file = *std::find_if(files_.begin(), files_.end(),
                                   [&](const File& one) { return one.remote.name == name; });
  const std::string text = file.whole ? read_text(cache_.snapshot(commit_) / name)
                                      : contents_[name] = repository_.text(commit_, name);
  const auto kept = std::make_shared<const std::string>(text);
  return ModelFiles::from_memory(
      id_, [=, place = id_ + "/" + name](const std::string& asked) -> std::optional<aira::File> {
        if (asked != name) return std::nullopt;
        return aira::File{
            place, {kept, reinterpret_cast<const std::byte*>(kept->data())}, kept->size()};
      });
}

void Pull::choose_model() {
  choose("config.json");
  read_model_config(in_memory("config.json"));
  const auto* const weights = std::find_if(kWeights.begin(), kWeights.end(),
                                           [&](const char* name) { return choose(name); });
  if (!std::string_view(*weights).ends_with(".index.json")) return;
  for (const std::string& shard : Checkpoint::file_names(in_memory(*weights))) {
    if (!choose(shard)) {
      throw Error("[E650] {} of the model {} names {}, which is not one of its files.",
                  {*weights, quote(id_), quote(shard)});
    }
  }
}

void Pull::choose_adapter() {
  choose(kAdapterConfig);
  base_ = base_of(in_memory(kAdapterConfig)).model;
  if (std::none_of(kAdapterWeights.begin(), kAdapterWeights.end(),
                   [&](const char* name) { return choose(name); })) {
    throw Error(
        "[E651] The adapter {} has no weights: neither of adapter_model.safetensors and "
        "adapter_model.bin.",
        {quote(id_)});
  }
}

void Pull::choose_tokenizer() {
  if (choose("tokenizer.json")) return;
  const bool vocabulary = choose("vocab.json");
  const bool whole = choose("merges.txt") && vocabulary;
  if (!whole && !base_) {
    throw Error(
        "[E652] The model {} has no tokenizer: expected tokenizer.json, or vocab.json with "
        "merges.txt.",
        {quote(id_)});
  }
}

void Pull::plan(bool check) {
  check_ = check;
  commit_ = is_commit(revision_) ? revision_ : repository_.commit(revision_);
  listing_ = repository_.files(commit_);
  const bool has_weights = std::any_of(kWeights.begin(), kWeights.end(),
                                       [&](const char* name) { return listed(name) != nullptr; });
  if (listed("config.json") != nullptr && has_weights) {
    choose_model();
  } else if (listed(kAdapterConfig) != nullptr) {
    choose_adapter();
  } else if (has_weights) {
    throw Error("[E653] {} is no model that can be run: it has no config.json.", {quote(id_)});
  } else {
    throw Error(
        "[E654] {} has no weights that this program reads: expected model.safetensors or "
        "pytorch_model.bin, whole or in shards.",
        {quote(id_)});
  }
  choose_tokenizer();
  for (const char* name : kBeside) choose(name);
}

/// Before the first byte: a full disk would be noticed after minutes.
void Pull::require_space() const {
  fs::path place = cache_.folder();
  std::error_code problem;
  while (!fs::exists(place, problem) && place.has_relative_path()) place = place.parent_path();
  struct statvfs system {};
  if (::statvfs(place.c_str(), &system) != 0) return;
  const auto free = static_cast<std::uint64_t>(system.f_bavail) * system.f_frsize;
  if (free >= static_cast<std::uint64_t>(missing())) return;
  throw Error(
      "[E655] {} MB are needed for the model {}, but only {} MB are free in {}; make room, or let "
      "HF_HUB_CACHE name another folder.",
      {std::to_string(missing() / 1'000'000 + 1), quote(id_), std::to_string(free / 1'000'000),
       quote(place.string(), 4096)});
}

void Pull::run() {
  const bool complete =
      std::all_of(files_.begin(), files_.end(), [](const File& one) { return one.whole; });
  const bool named =
      is_commit(revision_) || read_text(cache_.folder() / "refs" / revision_) == commit_;
  if (complete && named) return;  // the cache may be read-only
  require_space();
  cache_.prepare(commit_);
  before_ = 0;
  for (const File& one : files_) before_ += one.whole ? one.remote.size : 0;
  for (const File& one : files_) {
    if (one.whole) continue;
    fetch(one.remote);
    before_ += one.remote.size;
    listener_.got(before_);
    listener_.fetched(one.remote);
  }
  for (const char* name : kBeside) {
    if (listed(name) == nullptr) cache_.set_missing(commit_, name);
  }
  if (!named) cache_.set_reference(revision_, commit_);
}

void Pull::fetch(const RemoteFile& file) {
  const bool known = is_whole(cache_.blob(file.hash()), file, check_);
  const std::string etag = known ? file.hash() : repository_.etag(commit_, file);
  const BlobLock lock(cache_.lock(etag), listener_.go_on, [&] {
    listener_.notice(
        message("another program is fetching {}; waiting for it.", {quote(file.name)}));
  });
  if (is_whole(cache_.snapshot(commit_) / file.name, file, check_)) return;
  const bool fresh = !is_whole(cache_.blob(etag), file, check_);
  if (fresh) download(file, etag, lock.held());
  cache_.link(commit_, file.name, etag, fresh);
  if (lock.held()) cache_.remove_leftovers(etag);
}

void Pull::download(const RemoteFile& file, const std::string& etag, bool take_over) {
  for (bool resumed = true; resumed;) {
    PartialFile part(cache_, etag, take_over);
    FileBody body(part, file, [&](std::int64_t bytes) { listener_.got(before_ + bytes); });
    resumed = part.size() > 0;
    if (const auto known = contents_.find(file.name); known != contents_.end()) {
      body.restart();
      body.add(known->second);
    } else if (body.size() < file.size || file.size == 0) {
      repository_.get(commit_, file.name, body);
    }
    const std::int64_t size = body.size();
    const std::string hash = body.hash();
    if (size == file.size && hash == file.hash()) return part.keep();
    part.drop();
    if (resumed) continue;  // what was there may be what is wrong
    if (size != file.size) {
      throw Error("[E656] {} came with {} bytes instead of {}; try again later.",
                  {quote(file.name), std::to_string(size), std::to_string(file.size)});
    }
    throw Error(
        "[E649] {} came with other content than the hub's list says (hash {} instead of {}) and "
        "was "
        "dropped; try again later, or look whether a proxy changes what comes.",
        {quote(file.name), hash, file.hash()});
  }
}

}  // namespace aira
