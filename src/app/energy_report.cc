#include "app/energy_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/ask.h"
#include "app/config_file.h"
#include "app/hub.h"
#include "app/output.h"
#include "base/printable.h"
#include "run/option_values.h"

namespace aira {
namespace {

using nlohmann::ordered_json;

constexpr const char* kVariable = "AIRA_CARBON_INTENSITY";
constexpr double kMostIntensity = 100'000;
constexpr double kJoulesPerKwh = 3.6e6;

}  // namespace

std::string three_digits(double number) {
  const int before = number > 0 ? static_cast<int>(std::floor(std::log10(number))) + 1 : 1;
  return format("%.*f", std::clamp(3 - before, 0, 12), number);
}

std::optional<double> read_intensity(const std::string& text) {
  double grams = 0;
  if (!read_word(text, grams) || !(grams >= 0 && grams <= kMostIntensity)) return std::nullopt;
  return grams;
}

double require_intensity(const std::string& name, const std::string& text) {
  const std::optional<double> grams = read_intensity(text);
  if (grams) return *grams;
  throw UsageError("[E610] {} must be {}, not {}.", {name, message(kIntensityWords), quote(text)});
}

std::optional<double> carbon_intensity(const AskOptions& options) {
  if (options.carbon_intensity) return options.carbon_intensity;
  if (const auto value = environment(kVariable)) return require_intensity(kVariable, *value);
  return config().carbon_intensity;
}

EnergyPlaces energy_places(const std::string& gpu) {
  EnergyPlaces places{.gpu = gpu};
  if (const auto folder = environment("AIRA_POWERCAP")) places.powercap = *folder;
  return places;
}

std::vector<std::string> missing_energy(const Energy& energy) {
  std::vector<std::string> sentences;
  for (const std::string& why : energy.missing) {
    sentences.push_back(message("energy: not available here: {}.", {why}));
  }
  return sentences;
}

EnergyReport::EnergyReport(const std::string& gpu, std::optional<double> grams_per_kwh)
    : meter_(energy_places(gpu)), grams_per_kwh_(grams_per_kwh) {}

void EnergyReport::restart() {
  meter_.restart();
  answers_ = tokens_ = 0;
}

void EnergyReport::add(const Answer& answer) {
  ++answers_;
  tokens_ += std::ssize(answer.token_ids);
}

void EnergyReport::print() {
  if (answers_ == 0) return;
  const Energy energy = meter_.read();
  if (!energy.counted.empty()) {
    std::string parts;
    for (const std::string& part : energy.counted) parts += (parts.empty() ? "" : ", ") + part;
    const char* pattern =
        grams_per_kwh_
            ? to_translate(
                  "energy: {} J per answer, {} J per 1,000 tokens, {} J and {} g of CO2 in "
                  "all, used by the whole machine ({})")
            : to_translate(
                  "energy: {} J per answer, {} J per 1,000 tokens, {} J in all, used by the "
                  "whole machine ({4})");
    const double grams = energy.joules / kJoulesPerKwh * grams_per_kwh_.value_or(0);
    note(message(pattern, {three_digits(energy.joules / static_cast<double>(answers_)),
                           three_digits(1000 * energy.joules /
                                        static_cast<double>(std::max<std::int64_t>(tokens_, 1))),
                           three_digits(energy.joules), three_digits(grams), parts}));
  }
  if (std::exchange(told_, true)) return;
  for (const std::string& sentence : missing_energy(energy)) note(sentence);
}

ordered_json EnergyReport::json() {
  const Energy energy = meter_.read();
  ordered_json object = {
      {"joules", nullptr},    {"joules_per_answer", nullptr}, {"joules_per_1000_tokens", nullptr},
      {"grams_co2", nullptr}, {"counted", energy.counted},    {"missing", energy.missing}};
  if (energy.counted.empty()) return object;
  object["joules"] = energy.joules;
  if (answers_ > 0) {
    object["joules_per_answer"] = energy.joules / static_cast<double>(answers_);
    object["joules_per_1000_tokens"] =
        1000 * energy.joules / static_cast<double>(std::max<std::int64_t>(tokens_, 1));
  }
  if (grams_per_kwh_) object["grams_co2"] = energy.joules / kJoulesPerKwh * *grams_per_kwh_;
  return object;
}

}  // namespace aira
