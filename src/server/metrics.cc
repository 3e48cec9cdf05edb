#include "server/metrics.h"

#include "base/format.h"

namespace aira {
namespace {

std::string number(double value) { return format("%.9g", value); }

/// HELP and TYPE.
std::string heading(const std::string& name, const std::string& help, const char* type) {
  return "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

std::string escaped(std::string_view value) {
  std::string text;
  for (const char letter : value) {
    if (letter == '\\' || letter == '"') text += '\\';
    text += letter == '\n' ? ' ' : letter;
  }
  return text;
}

std::string sample(const std::string& name, const std::string& labels, const std::string& value) {
  return name + (labels.empty() ? "" : "{" + labels + "}") + " " + value + "\n";
}

std::string label(const std::string& name, std::string_view value) {
  return name + "=\"" + escaped(value) + "\"";
}

}  // namespace

void Histogram::add(double seconds) {
  std::size_t place = 0;
  while (place < kBounds.size() && seconds > kBounds[place]) ++place;
  ++counts_[place];
  sum_ += seconds;
}

std::string Histogram::lines(const std::string& name, const std::string& help) const {
  std::string text = heading(name, help, "histogram");
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    const std::string bound = i < kBounds.size() ? number(kBounds[i]) : "+Inf";
    text += sample(name + "_bucket", label("le", bound), std::to_string(below));
  }
  return text + sample(name + "_sum", "", number(sum_)) +
         sample(name + "_count", "", std::to_string(below));
}

void Metrics::add_answer(const Answer& answer) {
  const auto tokens = answer.token_ids.size();
  generated_tokens_ += tokens;
  prompt_tokens_ += static_cast<std::uint64_t>(answer.prompt_tokens);
  if (tokens > 1) token_seconds.add(answer.decode_seconds / static_cast<double>(tokens - 1));
}

std::string Metrics::text(std::int64_t running, std::int64_t queued, std::int64_t connections,
                          const std::vector<std::pair<std::string, std::string>>& labels) const {
  std::string text;
  const auto add = [&](const char* name, const char* help, const char* type, auto value) {
    text += heading(name, help, type) + sample(name, "", std::to_string(value));
  };
  text += heading("aira_requests_total", "Requests answered.", "counter");
  for (const auto& [key, count] : requests_) {
    text += sample("aira_requests_total",
                   label("endpoint", key.first) + "," + label("code", std::to_string(key.second)),
                   std::to_string(count));
  }
  text += heading("aira_requests_cancelled_total",
                  "Requests whose client left, by what was being done.", "counter");
  for (const auto& [state, count] : cancelled_) {
    text += sample("aira_requests_cancelled_total", label("state", state), std::to_string(count));
  }
  add("aira_requests_running", "Requests being computed.", "gauge", running);
  add("aira_requests_queued", "Requests that wait to be computed.", "gauge", queued);
  add("aira_connections", "Open connections.", "gauge", connections);
  add("aira_prompt_tokens_total", "Tokens of prompts that were answered.", "counter",
      prompt_tokens_);
  add("aira_generation_tokens_total", "Tokens generated.", "counter", generated_tokens_);
  text += queue_seconds.lines("aira_queue_seconds", "Time before a request is begun.");
  text += first_token_seconds.lines("aira_first_token_seconds",
                                    "Time from a request to the first text of its answer.");
  text += token_seconds.lines("aira_token_seconds", "Time for each token after the first.");
  std::string all;
  for (const auto& [name, value] : labels) all += (all.empty() ? "" : ",") + label(name, value);
  text += heading("aira_build_info", "The program and its model.", "gauge") +
          sample("aira_build_info", all, "1");
  return text;
}

}  // namespace aira
