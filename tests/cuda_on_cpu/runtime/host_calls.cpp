#include "host_calls.h"

#include <vector>

#include "device_memory.h"
#include "reports.h"
#include "settings.h"

namespace cuda_on_cpu {

namespace {

struct HostCall {
  std::string name;
  uintptr_t stream;
  int device;
  bool waits;
};

// Tensors of the CPU have the device -1; the other two are there so that a wrong one can be chosen.
constexpr int kFirstDevice = -1, kLastDevice = 1;

std::vector<HostCall> calls;
int current_device = 0;
uintptr_t streams = 0;

struct Capture {
  bool active = false, valid = true;
  cudaStream_t stream = nullptr;
} capture;

uintptr_t number(cudaStream_t stream) { return reinterpret_cast<uintptr_t>(stream); }

void log(const std::string& name, cudaStream_t stream, bool waits) {
  if (settings.calls) calls.push_back({name, number(stream), current_device, waits});
}

cudaError_t refuse(const std::string& problem) {
  report("illegal during capture", text(problem, " while stream ", number(capture.stream), " is captured"));
  capture.valid = false;
  set_error(cudaErrorStreamCaptureUnsupported);
  return cudaErrorStreamCaptureUnsupported;
}

}  // namespace

cudaError_t note_work(const std::string& name, cudaStream_t stream) {
  log(name, stream, false);
  if (!capture.active || stream == capture.stream) return cudaSuccess;
  return refuse(text(name, " on stream ", number(stream)));
}

cudaError_t note_call(const std::string& name, bool waits, cudaStream_t stream) {
  log(name, stream, waits);
  return capture.active ? refuse(name) : cudaSuccess;
}

std::string take_calls_as_json() {
  std::string json;
  for (const HostCall& call : calls) {
    json += text(json.empty() ? "" : ",\n", "{\"name\": \"", call.name, "\", \"stream\": ", call.stream,
                 ", \"device\": ", call.device, ", \"waits\": ", call.waits ? "true" : "false", "}");
  }
  calls.clear();
  return "[" + json + "]";
}

}  // namespace cuda_on_cpu

using cuda_on_cpu::capture;
using cuda_on_cpu::note_call;
using cuda_on_cpu::note_work;

cudaError_t cudaGetDevice(int* device) {
  *device = cuda_on_cpu::current_device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < cuda_on_cpu::kFirstDevice || device > cuda_on_cpu::kLastDevice) return cudaErrorInvalidValue;
  cuda_on_cpu::current_device = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const cudaError_t error = note_call("cudaDeviceSynchronize", true);
  return error != cudaSuccess ? error : cudaPeekAtLastError();
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = reinterpret_cast<cudaStream_t>(++cuda_on_cpu::streams);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const cudaError_t error = note_call("cudaStreamSynchronize", true, stream);
  return error != cudaSuccess ? error : cudaPeekAtLastError();
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return note_call("cudaStreamQuery", false, stream); }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  // The default stream waits for others and cannot be captured.
  if (stream == nullptr || capture.active) return cudaErrorStreamCaptureUnsupported;
  capture = {true, true, stream};
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!capture.active || stream != capture.stream) return cudaErrorStreamCaptureUnsupported;
  capture.active = false;
  return capture.valid ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = nullptr;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t stream) { return note_work("cudaEventRecord", stream); }
cudaError_t cudaEventQuery(cudaEvent_t) { return note_call("cudaEventQuery", false); }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return note_call("cudaEventSynchronize", true); }
