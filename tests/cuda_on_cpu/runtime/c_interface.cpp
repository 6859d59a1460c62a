// What the tests call (tests/cuda_on_cpu/library.py).
#include <string>

#include "counters.h"
#include "device_memory.h"
#include "host_calls.h"
#include "poison.h"
#include "reports.h"
#include "settings.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

// False: no such setting.
EXPORT bool cuda_on_cpu_set(const char* name, const char* value) {
  return cuda_on_cpu::change_setting(name, value);
}

// Reports so far, one per line; they and the counters are forgotten.
EXPORT const char* cuda_on_cpu_take_reports() {
  static std::string lines;
  lines.clear();
  for (const std::string& report : cuda_on_cpu::reports()) lines += report + "\n";
  cuda_on_cpu::forget_reports();
  cudaGetLastError();
  return lines.c_str();
}

EXPORT const char* cuda_on_cpu_take_counters() {
  static std::string json;
  json = cuda_on_cpu::counters_as_json();
  cuda_on_cpu::counters.clear();
  return json.c_str();
}

EXPORT const char* cuda_on_cpu_take_calls() {
  static std::string json;
  json = cuda_on_cpu::take_calls_as_json();
  return json.c_str();
}

EXPORT int cuda_on_cpu_current_device() {
  int device = 0;
  cudaGetDevice(&device);
  return device;
}

// False: the stream cannot be captured, or something in the capture was illegal.
EXPORT bool cuda_on_cpu_begin_capture(cudaStream_t stream) {
  return cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess;
}
EXPORT bool cuda_on_cpu_end_capture(cudaStream_t stream) {
  cudaGraph_t graph;
  return cudaStreamEndCapture(stream, &graph) == cudaSuccess;
}

// Memory of others that kernels may use.
EXPORT void cuda_on_cpu_add_memory(const void* address, size_t size) {
  cuda_on_cpu::device_memory.add(address, size);
}
EXPORT void cuda_on_cpu_remove_memory(const void* address) { cuda_on_cpu::device_memory.remove(address); }
EXPORT void cuda_on_cpu_fill_with_poison(void* address, size_t size) {
  cuda_on_cpu::fill_with_poison(address, size);
}
