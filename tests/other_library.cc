// A library that is not the CUDA module, for load_module_test.cpp. It stands in for
// libnvidia-ml.so.1 in energy_test.cpp, which sets and reads the variables.
#include <cstdio>

extern "C" {

unsigned long long stand_in_millijoules = 0;
int stand_in_code = 0;  // of what asks for the energy
char stand_in_bus_id[64] = "";

int nvmlInit_v2() { return 0; }

const char* nvmlErrorString(int code) { return code == 3 ? "Not Supported" : "Unknown Error"; }

int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  std::snprintf(stand_in_bus_id, sizeof stand_in_bus_id, "%s", bus_id);
  *device = &stand_in_millijoules;
  return 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* millijoules) {
  if (stand_in_code != 0) return stand_in_code;
  *millijoules = *static_cast<unsigned long long*>(device);
  return 0;
}

}  // extern "C"
