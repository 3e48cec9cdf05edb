#include "app/progress.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/energy_report.h"
#include "app/output.h"
#include "base/mapped_file.h"
#include "base/seconds.h"

namespace aira {
namespace {

constexpr double kInterval = 0.25;  // seconds between two updates of the line
constexpr double kObjectInterval = 1;

/// The lines that are left in a regular file; 0 for anything else.
std::int64_t count_lines(const std::optional<std::string>& name) {
  const bool by_name = name.value_or("-") != "-";
  const Descriptor file(by_name ? ::open(name->c_str(), O_RDONLY | O_CLOEXEC)
                                : ::dup(STDIN_FILENO));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  off_t at = ::lseek(file.get(), 0, SEEK_CUR);
  std::vector<char> block(std::size_t{1} << 18U);
  std::int64_t lines = 0;
  char last = '\n';
  for (ssize_t got = 0; (got = ::pread(file.get(), block.data(), block.size(), at)) > 0;) {
    lines += std::count(block.begin(), block.begin() + got, '\n');
    last = block[static_cast<std::size_t>(got) - 1];
    at += got;
  }
  return lines + (last == '\n' ? 0 : 1);
}

/// Lines of this shard among so many.
std::int64_t share_of(std::int64_t lines, const RunOptions& run) {
  return lines < run.shard ? 0 : (lines - run.shard) / run.shards + 1;
}

}  // namespace

Progress::Progress(const CommonOptions& options)
    : quiet_(options.quiet),
      json_(options.run.json_progress),
      to_file_(options.run.output.has_value()),
      line_(!quiet_ && !json_ && ::isatty(STDERR_FILENO) == 1 &&
            (to_file_ || ::isatty(STDOUT_FILENO) == 0)) {
  if ((line_ || json_) && !options.run.csv)
    total_ = share_of(count_lines(options.file), options.run);
}

void Progress::start(double fraction) {
  started_ = shown_ = Clock::now();
  first_fraction_ = fraction_ = fraction;
}

void Progress::line_was_done(bool failed) {
  ++done_;
  failed_ += failed ? 1 : 0;
}

void Progress::line_done(bool failed, double fraction) {
  ++done_;
  failed_ += failed ? 1 : 0;
  fraction_ = fraction;
  if (json_ && seconds_since(shown_) >= kObjectInterval) print_object("running");
  if (line_ && seconds_since(shown_) >= kInterval) show();
}

void Progress::show() {
  shown_ = Clock::now();
  shown_once_ = true;
  const double elapsed = seconds_since(started_);
  const std::string done = std::to_string(done_);
  const std::string rate = format("%.0f", static_cast<double>(tokens_) / elapsed);
  const std::string percent = format("%.0f", 100 * fraction_);
  const double fresh = fraction_ - first_fraction_;
  const std::string left = clock_time(fresh > 0 ? elapsed * (1 - fraction_) / fresh : 0);
  std::string text = fresh <= 0    ? message("{} lines done, {} tokens/s", {done, rate})
                     : total_ == 0 ? message("{} lines done, {} %, {} tokens/s, {} left",
                                             {done, percent, rate, left})
                                   : message("{} of {} lines done, {} %, {} tokens/s, {} left",
                                             {done, std::to_string(total_), percent, rate, left});
  status_.show(std::move(text));
}

void Progress::print_object(const char* state) {
  shown_ = Clock::now();
  const double elapsed = seconds_since(started_);
  const double fresh = fraction_ - first_fraction_;
  nlohmann::ordered_json object = {
      {"state", state},         {"done", done_},
      {"failed", failed_},      {"total", total_},
      {"fraction", fraction_},  {"tokens", tokens_},
      {"seconds", elapsed},     {"tokens_per_second", static_cast<double>(tokens_) / elapsed},
      {"seconds_left", nullptr}};
  if (total_ == 0) object["total"] = nullptr;
  if (fresh > 0) object["seconds_left"] = elapsed * (1 - fraction_) / fresh;
  if (energy_ != nullptr) object["energy"] = energy_->json();
  print_aside(json_text(object) + "\n");
}

void Progress::end(bool whole) {
  status_.clear();
  if (json_) return print_object(whole ? "done" : "stopped");
  summarise(whole);
  if (energy_ != nullptr) energy_->print();
}

void Progress::summarise(bool whole) const {
  if (quiet_ || (!to_file_ && !shown_once_)) return;
  const double elapsed = seconds_since(started_);
  note(message("lines done: {}, failed: {}; {} tokens in {}, {} tokens/s.",
               {std::to_string(done_), std::to_string(failed_), std::to_string(tokens_),
                clock_time(elapsed), format("%.0f", static_cast<double>(tokens_) / elapsed)}));
  if (!to_file_) return;
  if (!whole) {
    note(message("to go on, give the same command with --resume."));
  } else if (failed_ > 0) {
    note(
        message("to ask the failed lines again, give the same command with --resume "
                "--retry-failed."));
  }
}

}  // namespace aira
