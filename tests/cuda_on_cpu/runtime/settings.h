// What a test may choose.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>

namespace cuda_on_cpu {

struct Settings {
  // 0 runs threads and blocks in order; any other number draws a random order from it.
  uint64_t seed = 0;
  // The checker's work, in libraries whose kernels are instrumented: detecting, and counting per instruction.
  bool check = true;
  bool profile = false;
  // Whether to keep a list of what the host asks of the device.
  bool calls = false;
  // A barrier that is not there: FILE:LINE of the call. For tests that prove that tests would notice.
  std::string without;
};
extern Settings settings;

// By name and text; false when there is no such setting or value.
bool change_setting(const std::string& name, const std::string& value);

// Whether the barrier at this place was taken away.
bool removed(const std::source_location& site);

}  // namespace cuda_on_cpu
