// The probes of GPU and caches.
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <vector>

#include "app/cached_models.h"
#include "app/doctor.h"
#include "app/hub.h"
#include "app/output.h"
#include "base/disk_space.h"
#include "base/printable.h"
#include "device/device.h"
#include "model/packed_files.h"
#include "model/packed_folder.h"

namespace aira {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// "535.104.05" of "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug ..."
std::string driver_version() {
  std::istringstream words(first_line("/proc/driver/nvidia/version"));
  for (std::string word; words >> word;) {
    if (word.find_first_not_of("0123456789.") == std::string::npos) return word;
  }
  return {};
}

/// The driver's device file, or the one of Windows' subsystem for Linux.
bool has_driver() {
  return ::access("/dev/nvidiactl", F_OK) == 0 || ::access("/dev/dxg", F_OK) == 0;
}

}  // namespace

Finding look_at_driver(const CommonOptions& options, Examined&) {
  const std::string version = driver_version();
  std::vector<std::string> devices;
  std::error_code problem;
  for (fs::directory_iterator entry("/proc/driver/nvidia/gpus", problem), end;
       !problem && entry != end; entry.increment(problem)) {
    devices.push_back(printable(value_in(entry->path() / "information", "Model")));
  }
  const bool there = has_driver();
  Finding finding = {
      Mark::kGood,
      there ? joined({version.empty() ? message("there") : version}) : message("none"),
      {{"there", there}, {"version", version}, {"devices", devices}},
      ""};
  if (!devices.empty()) finding.text += ": " + joined(devices);
  if (!there && options.device == Device::kCuda) {
    finding.mark = Mark::kBad;
    finding.advice = message("Use {}.", {"--device cpu"});
  }
  return finding;
}

Finding look_at_module(const CommonOptions& options, Examined&) {
  const fs::path path = cuda_module();
  Finding finding = {Mark::kGood,
                     path.empty() ? message("none") : printable(path.string()),
                     {{"path", path.string()}, {"device", ordered_json()}},
                     ""};
  if (!has_driver() || options.device == Device::kCpu) return finding;
  const auto problem = problem_in([&] {
    ThreadPool pool(1);
    const std::string device = make_backend(Device::kCuda, pool)->description();
    finding.value["device"] = device;
    finding.text += ": " + device;
  });
  if (problem) {
    finding.mark = options.device == Device::kCuda ? Mark::kBad : Mark::kNote;
    finding.advice = problem->what();
  }
  return finding;
}

Finding look_at_hub_cache(const CommonOptions&, Examined&) {
  const auto cache = hub_cache();
  if (!cache) return {Mark::kNote, message("none"), {}, ""};
  std::int64_t models = 0;
  for (const CachedRepository& one : cached_repositories(*cache)) models += one.kind == "model";
  const auto space = free_space(*cache);
  Finding finding = {
      Mark::kGood,
      message("{}: {} models, {} free",
              {printable(cache->string()), std::to_string(models), size_text(space.value_or(0))}),
      {{"folder", cache->string()},
       {"models", models},
       {"writable", space.has_value()},
       {"free_bytes", space.value_or(0)}},
      ""};
  if (!space) {
    finding.mark = Mark::kNote;
    finding.advice =
        message("It cannot be written to, so {} cannot fetch models; {} names another.",
                {"aira-cli pull", "$HF_HUB_CACHE"});
  }
  return finding;
}

Finding look_at_packed_weights(const CommonOptions&, Examined& examined) {
  const std::string folder = cache_folder();
  if (folder.empty()) {
    return {
        Mark::kNote,
        message("none"),
        {{"folder", ordered_json()}},
        message("Each start converts the weights again; unset {} to keep them.", {"AIRA_CACHE"})};
  }
  std::int64_t bytes = 0;
  for (const PackedFile& file : packed_files(folder)) bytes += file.bytes;
  const auto space = free_space(folder);
  Finding finding = {Mark::kGood,
                     message("{}: {}, {} free",
                             {printable(folder), size_text(bytes), size_text(space.value_or(0))}),
                     {{"folder", folder},
                      {"bytes", bytes},
                      {"writable", space.has_value()},
                      {"free_bytes", space.value_or(0)}},
                     ""};
  std::error_code ignored;
  const bool exists = fs::exists(folder, ignored);
  const std::string problem =
      exists ? PackedFolder(folder, PackedFolder::Missing::kIsProblem).problem() : "";
  if (!problem.empty()) {
    finding.mark = Mark::kNote;
    finding.advice = message("It is not used, so each start converts the weights: {}.", {problem});
  } else if (!space || *space < examined.bytes) {
    finding.mark = Mark::kNote;
    finding.advice = message(
        "There is no room for them, so each start converts the weights; {} names another folder.",
        {"$AIRA_CACHE"});
  }
  return finding;
}

}  // namespace aira
