// What the kernels that test the emulation have in common.
#pragma once

#include <cuda_runtime.h>

#include <numeric>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace cuda_on_cpu {
void report(const std::string& kind, const std::string& problem);
}

// Memory of the device: fresh, or with values from the host.
template <class T>
class DeviceArray {
public:
  explicit DeviceArray(size_t count) : count_(count) { cudaMalloc(&data_, count * sizeof(T)); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice);
  }
  DeviceArray(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* data() const { return data_; }
  std::vector<T> on_host() const {
    std::vector<T> values(count_);
    cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost);
    return values;
  }

private:
  T* data_ = nullptr;
  size_t count_;
};

// 0, 1, ... , period - 1, 0, 1, ...
template <class T>
std::vector<T> repeating(size_t count, size_t period) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<T>(i % period);
  return values;
}

// Reports a result that is not as it should be.
template <class T>
void expect(const char* what, T actual, T expected) {
  if (actual == expected) return;
  cuda_on_cpu::report("wrong result", std::string(what) + " is " + std::to_string(actual) + ", not " +
                                          std::to_string(expected));
}
