// Messages when the GPU cannot be used or has too little memory.
#include "cuda/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "byte_model.h"
#include "control.h"
#include "cuda/cuda_backend.h"
#include "model/model.h"

namespace aira::cuda {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class DeviceErrors : public testing::Test {
 protected:
  ~DeviceErrors() override { cuda_on_host::set_machine({}); }
  static std::string error_on(const cuda_on_host::Machine& machine) {
    cuda_on_host::set_machine(machine);
    const std::string sentence = error_of([] { make_cuda_backend(); });
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "an error that was told is not left behind";
    return sentence;
  }
};

TEST(Device, TellsItsPlaceOnTheBus) { EXPECT_EQ(make_cuda_backend()->gpu(), "0000:65:00.0"); }

TEST_F(DeviceErrors, NoDriver) {
  EXPECT_EQ(error_on({.device_count_status = cudaErrorInsufficientDriver, .driver_version = 0}),
            "There is no NVIDIA driver on this machine; use --device cpu.");
}

TEST_F(DeviceErrors, DriverTooOld) {
  EXPECT_EQ(error_on({.device_count_status = cudaErrorInsufficientDriver, .driver_version = 12080}),
            "The NVIDIA driver is too old: it supports CUDA 12.8, and this program needs 13.0; "
            "update the driver or use --device cpu.");
}

TEST_F(DeviceErrors, NoDevice) {
  const std::string sentence =
      "There is no GPU that CUDA can use (CUDA_VISIBLE_DEVICES may hide it); use --device cpu.";
  EXPECT_EQ(error_on({.device_count_status = cudaErrorNoDevice}), sentence);
  EXPECT_EQ(error_on({.devices = 0}), sentence);
}

TEST_F(DeviceErrors, DeviceThatFails) {
  EXPECT_THAT(error_on({.device_count_status = cudaErrorInitializationError}),
              AllOf(StartsWith("The GPU failed while looking for devices: "),
                    EndsWith("(cudaErrorInitializationError).")));
}

TEST_F(DeviceErrors, DeviceTooOld) {
  EXPECT_EQ(error_on({.major = 7, .minor = 0}),
            "The GPU CUDA on the host has compute capability 7.0; 7.5 or later is needed. Use "
            "--device cpu.");
  EXPECT_EQ(error_on({.major = 7, .minor = 5}), "");
}

TEST_F(DeviceErrors, OutOfMemory) {
  cuda_on_host::set_machine({.memory = 3000000});
  const auto backend = make_cuda_backend();
  const std::string sentence = error_of([&] { static_cast<void>(backend->alloc(5000001)); });
  EXPECT_THAT(sentence, StartsWith("The GPU has too little memory: 6 MB more are needed and "));
  EXPECT_THAT(sentence, EndsWith(" of 3 MB are free; use --device cpu or a smaller model."));
  EXPECT_NO_THROW(static_cast<void>(backend->alloc(1000000))) << "what fits is still to be had";
}

TEST_F(DeviceErrors, AModelThatDoesNotFitIsOneSentenceAndLeavesNothing) {
  const std::size_t before = cuda_on_host::counts().bytes_allocated;
  cuda_on_host::set_machine({.memory = before + 50000});
  {
    const auto backend = make_cuda_backend();
    EXPECT_THAT(error_of([&] { Model::load(byte_model(false), *backend, DType::kF32); }),
                HasSubstr("too little memory"));
  }
  EXPECT_EQ(cuda_on_host::counts().bytes_allocated, before);
}

}  // namespace
}  // namespace aira::cuda
