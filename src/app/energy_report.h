// What --stats says of the energy of a run, and what it comes to in carbon dioxide.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "aira/error.h"
#include "aira/generate.h"
#include "base/energy.h"

namespace aira {

struct AskOptions;

inline constexpr const char* kIntensityWords = to_translate("a number from 0 to 100000");
/// Grams of CO2 per kWh; nothing when `text` is not kIntensityWords.
std::optional<double> read_intensity(const std::string& text);
/// The same, but throws a UsageError that names what was set so.
double require_intensity(const std::string& name, const std::string& text);
/// That of the option, else of $AIRA_CARBON_INTENSITY, else of the config file. Throws Error.
std::optional<double> carbon_intensity(const AskOptions& options);

/// Where counters are for a run on that GPU, if any; $AIRA_POWERCAP is another place for RAPL's.
EnergyPlaces energy_places(const std::string& gpu);
/// With three digits that count: "1235", "12.3", "0.00123".
std::string three_digits(double number);
/// A sentence for each part of the machine that does not tell.
std::vector<std::string> missing_energy(const Energy& energy);

class EnergyReport {
 public:
  EnergyReport(const std::string& gpu, std::optional<double> grams_per_kwh);

  /// Counts energy and answers from now on.
  void restart();
  void add(const Answer& answer);
  /// On stderr, if an answer has come: a line with the energy, and the first time one for each part
  /// of the machine that does not tell.
  void print();
  /// The same for programs; null stands for what is not known.
  nlohmann::ordered_json json();

 private:
  EnergyMeter meter_;
  std::optional<double> grams_per_kwh_;
  std::int64_t answers_ = 0;
  std::int64_t tokens_ = 0;
  bool told_ = false;
};

}  // namespace aira
