#include "app/hub.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

/// Models that got an organisation after many had downloaded them without.
constexpr auto kRenamed = std::to_array<std::array<std::string_view, 2>>({
    {"gpt2", "openai-community/gpt2"},
    {"gpt2-medium", "openai-community/gpt2-medium"},
    {"gpt2-large", "openai-community/gpt2-large"},
    {"gpt2-xl", "openai-community/gpt2-xl"},
    {"distilgpt2", "distilbert/distilgpt2"},
});

/// "name" or "org/name" in the letters that the hub allows.
bool is_hub_id(const std::string& text) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
  return !text.empty() && text.find_first_not_of(kLetters) == std::string::npos &&
         std::count(text.begin(), text.end(), '/') <= 1 && text.front() != '/' &&
         text.back() != '/' && text.front() != '.' && text.find("..") == std::string::npos;
}

/// The length of "https://" or the like at the beginning.
std::size_t length_of_scheme(const std::string& text) {
  for (const std::string_view scheme : {"https://", "http://", "hf://"}) {
    if (text.starts_with(scheme)) return scheme.size();
  }
  return 0;
}

/// The host of the hub, or of a mirror ($HF_ENDPOINT), that `text` begins with; or empty.
std::string host_in(const std::string& text) {
  std::string mirror = environment("HF_ENDPOINT").value_or("");
  mirror.erase(0, length_of_scheme(mirror));
  while (mirror.ends_with('/')) mirror.pop_back();
  for (const std::string& host : {std::string("huggingface.co"), std::string("www.huggingface.co"),
                                  std::string("hf.co"), mirror}) {
    if (!host.empty() && text.starts_with(host + "/")) return host;
  }
  return "";
}

/// The parts between the slashes of an address's path, %2F and the like decoded.
std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts(1);
  for (std::size_t at = 0; at < path.size() && path[at] != '?' && path[at] != '#'; ++at) {
    const auto digit = [&](std::size_t place) {
      constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
      const auto found = place < path.size() ? kDigits.find(path[place]) : std::string::npos;
      return found == std::string::npos ? -1 : static_cast<int>(found < 16 ? found : found - 6);
    };
    if (path[at] == '/') {
      parts.emplace_back();
    } else if (path[at] == '%' && digit(at + 1) >= 0 && digit(at + 2) >= 0) {
      parts.back() += static_cast<char>(digit(at + 1) * 16 + digit(at + 2));
      at += 2;
    } else {
      parts.back() += path[at];
    }
  }
  std::erase(parts, "");
  return parts;
}

/// The model of "org/name/tree/REVISION/..." behind the host of an address.
std::optional<HubModel> model_at(const std::string& path) {
  constexpr std::array<std::string_view, 5> kViews = {"tree", "blob", "resolve", "commit", "raw"};
  constexpr std::array<std::string_view, 6> kOthers = {"datasets", "spaces",      "docs",
                                                       "papers",   "collections", "buckets"};
  const std::vector<std::string> parts = parts_of(path);
  const auto is_in = [&](const auto& names, std::size_t part) {
    return part < parts.size() && std::find(names.begin(), names.end(), parts[part]) != names.end();
  };
  if (parts.empty() || is_in(kOthers, 0)) return std::nullopt;
  const std::size_t view = parts.size() == 1 || is_in(kViews, 1) ? 1 : 2;
  HubModel model{view == 1 ? parts[0] : parts[0] + "/" + parts[1]};
  if (is_in(kViews, view) && view + 1 < parts.size()) {
    model.revision = parts[view + 1];
    for (std::size_t i = view + 2;
         parts[view + 1] == "refs" && i < std::min(view + 4, parts.size()); ++i) {
      model.revision += "/" + parts[i];  // refs/pr/1
    }
  }
  if (!is_hub_id(model.id)) return std::nullopt;
  return model;
}

}  // namespace

std::optional<fs::path> hub_cache() {
  constexpr std::array<std::array<const char*, 2>, 4> kPlaces = {{
      {"HF_HUB_CACHE", ""},
      {"HUGGINGFACE_HUB_CACHE", ""},
      {"HF_HOME", "/hub"},
      {"XDG_CACHE_HOME", "/huggingface/hub"},
  }};
  for (const auto& [variable, below] : kPlaces) {
    const auto folder = environment(variable);
    if (folder) return fs::path(expand_path(*folder) + below);
  }
  const std::string home = expand_path("~");
  if (home == "~") return std::nullopt;
  return fs::path(home) / ".cache/huggingface/hub";
}

bool is_address(const std::string& asked) { return length_of_scheme(asked) > 0; }

std::optional<HubModel> hub_model(const std::string& asked) {
  const std::size_t scheme = length_of_scheme(asked);
  const std::string rest = asked.substr(scheme);
  const std::string host = host_in(rest);
  const auto refuse = [&] {
    throw Error("[E290] The address {} is of no model; give ORG/NAME, its name on the hub.",
                {quote(asked, 4096)});
  };
  if (!host.empty()) {
    if (auto model = model_at(rest.substr(host.size()))) return model;
    refuse();
  }
  if (scheme > 0 && !asked.starts_with("hf:")) {
    throw Error(
        "[E291] The address {} is not one of the Hugging Face hub; download the model and give its "
        "folder.",
        {quote(asked, 4096)});
  }
  const std::size_t at = std::min(rest.find('@'), rest.size());
  HubModel model{rest.substr(0, at)};
  if (!is_hub_id(model.id)) {
    if (scheme > 0) refuse();
    return std::nullopt;
  }
  if (at < rest.size()) model.revision = rest.substr(at + 1);
  if (model.revision.empty()) {
    throw Error("[E292] {} needs a revision after the @: a branch, a tag or a commit.",
                {quote(asked, 4096)});
  }
  return model;
}

std::string HubModel::name() const { return revision == "main" ? id : id + "@" + revision; }

std::string HubModel::download() const { return "aira-cli pull " + printable(name()); }

std::optional<fs::path> HubModel::folder() const {
  const std::optional<fs::path> cache = hub_cache();
  if (!cache) return std::nullopt;
  const auto place = [&](std::string folder) {
    if (const auto slash = folder.find('/'); slash != std::string::npos) {
      folder.replace(slash, 1, "--");
    }
    return *cache / ("models--" + folder);
  };
  std::error_code problem;
  for (const auto& [before, now] : kRenamed) {
    const std::string_view other = id == before ? now : id == now ? before : "";
    if (other.empty() || fs::exists(place(id), problem)) continue;
    if (fs::exists(place(std::string(other)), problem)) return place(std::string(other));
  }
  return place(id);
}

std::optional<fs::path> HubModel::snapshot() const {
  const std::optional<fs::path> all = folder();
  if (!all || revision.find("..") != std::string::npos) return std::nullopt;
  std::ifstream reference(*all / "refs" / revision);
  std::string commit;
  if (!(reference >> commit)) commit = revision;
  if (commit.find('/') != std::string::npos) return std::nullopt;
  fs::path files = *all / "snapshots" / commit;
  std::error_code problem;
  if (!fs::is_directory(files, problem)) return std::nullopt;
  return files;
}

}  // namespace aira
