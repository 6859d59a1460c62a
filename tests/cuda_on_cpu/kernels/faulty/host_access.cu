// Host code reads memory of the device.
#include "harness.h"

EXPORT void host_access() {
  const DeviceArray<int> values(std::vector<int>{7});
  expect("the value", *values.data(), 7);
}
