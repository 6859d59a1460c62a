// Calls that a stream must not meet while it is captured.
#include "harness.h"

EXPORT void waits_in_capture() {
  const DeviceArray<int> values(std::vector<int>{7});
  cudaStream_t stream;
  cudaEvent_t event;
  cudaGraph_t graph;
  cudaStreamCreate(&stream);
  cudaEventCreate(&event);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  int value = 0;
  void* more = nullptr;
  cudaMalloc(&more, 4);
  cudaFree(more);
  cudaMemset(values.data(), 0, 4);
  cudaMemcpy(&value, values.data(), 4, cudaMemcpyDeviceToHost);
  cudaMemcpyAsync(&value, values.data(), 4, cudaMemcpyDeviceToHost, stream);
  cudaEventQuery(event);
  cudaEventSynchronize(event);
  cudaStreamQuery(stream);
  cudaStreamSynchronize(stream);
  cudaDeviceSynchronize();
  expect("the error of the capture",
         cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated, true);
  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
}
