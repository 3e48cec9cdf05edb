// Energy counters in a tree that looks like /sys/class/powercap, and in a library that stands in
// for NVML.
#include "base/energy.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_fixtures.h"

namespace aira {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// The folder "ação", whose counters a test moves.
class Powercap {
 public:
  void add(const std::string& zone, const std::string& name, std::uint64_t microjoules,
           std::uint64_t most = 262'143'328'850) {
    std::filesystem::create_directories(folder_.path("ação/" + zone));
    write(zone, "name", name + "\n");
    write(zone, "max_energy_range_uj", std::to_string(most) + "\n");
    set(zone, microjoules);
  }
  void set(const std::string& zone, std::uint64_t microjoules) {
    write(zone, "energy_uj", std::to_string(microjoules) + "\n");
  }
  void write(const std::string& zone, const std::string& file, const std::string& text) {
    folder_.write("ação/" + zone + "/" + file, text);
  }
  void remove(const std::string& file) { std::filesystem::remove(path(file)); }
  std::string path(const std::string& file = "") const {
    return folder_.path(file.empty() ? "ação" : "ação/" + file);
  }
  EnergyPlaces places() const { return {.powercap = path(), .nvml = "", .gpu = ""}; }

 private:
  TemporaryFolder folder_;
};

TEST(Energy, PackagesAndMemoryOfAllSocketsAreSummed) {
  Powercap tree;
  tree.add("intel-rapl:0", "package-0", 1'000'000);
  tree.add("intel-rapl:0:0", "core", 5);
  tree.add("intel-rapl:0:1", "dram", 7'000);
  tree.add("intel-rapl:1", "package-1", 0);
  tree.add("intel-rapl:1:0", "dram", 9);
  tree.add("intel-rapl:2", "psys", 77);
  tree.add("intel-rapl-mmio:0", "package-0", 1);  // the same counter again
  EnergyMeter meter(tree.places());
  tree.set("intel-rapl:0", 3'500'000);
  tree.set("intel-rapl:0:0", 1'000'000'000);
  tree.set("intel-rapl:0:1", 257'000);
  tree.set("intel-rapl:1", 125'000);
  tree.set("intel-rapl:1:0", 500'009);
  tree.set("intel-rapl:2", 2'000'000'000);
  tree.set("intel-rapl-mmio:0", 2'000'000'001);
  Energy energy = meter.read();
  EXPECT_DOUBLE_EQ(energy.joules, 2.5 + 0.25 + 0.125 + 0.5);
  EXPECT_THAT(energy.counted, ElementsAre("package-0", "dram", "package-1"));
  EXPECT_THAT(energy.missing, IsEmpty());
  meter.restart();
  tree.set("intel-rapl:0", 3'500'001);
  energy = meter.read();
  EXPECT_DOUBLE_EQ(energy.joules, 1e-6);
  EXPECT_THAT(energy.missing, ElementsAre("the counter of dram did not move meanwhile",
                                          "the counter of package-1 did not move meanwhile",
                                          "the counter of dram did not move meanwhile"));
}

TEST(Energy, ACounterBeginsAgain) {
  Powercap tree;
  tree.add("intel-rapl:0", "package-0-die-1", 999'000, 1'000'000);
  EnergyMeter meter(tree.places());
  for (const std::uint64_t microjoules : {999'999, 1, 600'000, 599'999, 0}) {
    tree.set("intel-rapl:0", microjoules);
    meter.read();
  }
  EXPECT_NEAR(meter.read().joules, 1e-6 * (999 + 3 + 599'999 + 1'000'000 + 400'002), 1e-9);
}

TEST(Energy, WhatCannotBeIsToldWithTheReason) {
  Powercap tree;
  EnergyMeter none(tree.places());
  EXPECT_EQ(none.read().joules, 0);
  EXPECT_THAT(none.read().counted, IsEmpty());
  EXPECT_THAT(none.read().missing,
              ElementsAre(tree.path() +
                          " has no counters of the processors (RAPL); virtual machines, containers "
                          "and other processors than Intel's and AMD's have none"));
  tree.add("intel-rapl:0", "package-0", 1);
  tree.add("intel-rapl:1", "package-1", 1);
  tree.add("intel-rapl:2", "package-2", 1);
  tree.add("intel-rapl:3", "package-3", 1);
  tree.remove("intel-rapl:0/energy_uj");
  tree.remove("intel-rapl:1/max_energy_range_uj");
  tree.write("intel-rapl:2", "energy_uj", "muito\n");
  EnergyMeter meter(tree.places());
  tree.set("intel-rapl:3", 1'000'001);
  const Energy energy = meter.read();
  EXPECT_DOUBLE_EQ(energy.joules, 1);
  EXPECT_THAT(energy.counted, ElementsAre("package-3"));
  EXPECT_THAT(energy.missing, ElementsAre(tree.path("intel-rapl:0/energy_uj") +
                                              " cannot be read: No such file or directory",
                                          tree.path("intel-rapl:1/max_energy_range_uj") +
                                              " cannot be read: No such file or directory",
                                          tree.path("intel-rapl:2/energy_uj") +
                                              " holds \"muito\", which is no number"));
}

TEST(Energy, AReadingThatFailsLaterTakesItsCounterAway) {
  Powercap tree;
  tree.add("intel-rapl:0", "package-0", 1'000'000);
  tree.add("intel-rapl:1", "package-1", 1'000'000);
  EnergyMeter meter(tree.places());
  tree.set("intel-rapl:0", 9'000'000);
  tree.set("intel-rapl:1", 3'000'000);
  EXPECT_DOUBLE_EQ(meter.read().joules, 10);
  tree.remove("intel-rapl:0/energy_uj");
  tree.set("intel-rapl:1", 4'000'000);
  const Energy energy = meter.read();
  EXPECT_DOUBLE_EQ(energy.joules, 3);
  EXPECT_THAT(energy.missing, ElementsAre(HasSubstr("intel-rapl:0/energy_uj cannot be read")));
  tree.set("intel-rapl:0", 20'000'000);  // too late for this run, in time for the next one
  EXPECT_DOUBLE_EQ(meter.read().joules, 3);
  meter.restart();
  tree.set("intel-rapl:0", 21'000'000);
  EXPECT_DOUBLE_EQ(meter.read().joules, 1);
}

TEST(Energy, ACounterThatGoesBackIsNotBelieved) {
  Powercap tree;
  tree.add("intel-rapl:0", "package-0", 5'000'000, 4'000'000);
  EnergyMeter meter(tree.places());
  tree.set("intel-rapl:0", 1);
  EXPECT_THAT(meter.read().missing, ElementsAre("the counter of package-0 went back"));
}

#ifdef AIRA_STATIC
TEST(Energy, AStaticProgramCountsTheProcessorsAlone) {
  Powercap tree;
  tree.add("intel-rapl:0", "package-0", 0);
  EnergyMeter meter({.powercap = tree.path(), .nvml = "", .gpu = "0:1:0.0"});
  tree.set("intel-rapl:0", 2'000'000);
  EXPECT_DOUBLE_EQ(meter.read().joules, 2);
  EXPECT_THAT(meter.read().missing,
              ElementsAre("a program that is linked statically cannot load NVML"));
}
#else
/// A variable of the stand-in.
template <typename Value>
Value& stand_in(const char* name) {
  static void* const library = ::dlopen(AIRA_OTHER_LIBRARY, RTLD_NOW);
  return *static_cast<Value*>(::dlsym(library, name));
}

TEST(Energy, OfTheGpuThatComputes) {
  auto& millijoules = stand_in<unsigned long long>("stand_in_millijoules");
  auto& code = stand_in<int>("stand_in_code");
  Powercap tree;
  tree.add("intel-rapl:0", "package-0", 0);
  const EnergyPlaces places{
      .powercap = tree.path(), .nvml = AIRA_OTHER_LIBRARY, .gpu = "0000:65:00.0"};
  millijoules = 0xFFFF'FFFF'0000;
  EnergyMeter meter(places);
  EXPECT_STREQ(&stand_in<char>("stand_in_bus_id"), "0000:65:00.0");
  millijoules += 12'500;
  tree.set("intel-rapl:0", 500'000);
  EXPECT_DOUBLE_EQ(meter.read().joules, 13);
  EXPECT_THAT(meter.read().counted, ElementsAre("package-0", "GPU"));
  millijoules = 1;  // the driver was loaded anew
  EXPECT_THAT(meter.read().missing, ElementsAre("the counter of GPU went back"));
  code = 3;
  EXPECT_THAT(EnergyMeter(places).read().missing,
              testing::Contains("NVML says of the GPU: Not Supported"));
  meter.restart();
  EXPECT_THAT(meter.read().missing, testing::Contains("NVML says of the GPU: Not Supported"));
  code = 0;
}

TEST(Energy, WithoutNvmlTheProcessorsAreCounted) {
  Powercap tree;
  tree.add("intel-rapl:0", "package-0", 0);
  EnergyPlaces places{.powercap = tree.path(), .nvml = tree.path("libnada.so"), .gpu = "0:1:0.0"};
  EnergyMeter none(places);
  places.nvml = "libm.so.6";
  EnergyMeter other(places);
  tree.set("intel-rapl:0", 2'000'000);
  EXPECT_DOUBLE_EQ(none.read().joules, 2);
  EXPECT_THAT(none.read().missing, ElementsAre(testing::StartsWith("NVML cannot be loaded: ")));
  EXPECT_THAT(other.read().missing, ElementsAre(HasSubstr(" has no function nvmlErrorString")));
}
#endif

}  // namespace
}  // namespace aira
