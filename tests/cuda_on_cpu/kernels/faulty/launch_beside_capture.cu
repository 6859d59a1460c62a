// A launch on the default stream while another one is captured.
#include "harness.h"

__global__ void launch_beside_capture_kernel(int* value) { *value = 1; }

EXPORT void launch_beside_capture() {
  const DeviceArray<int> value(std::vector<int>{7});
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaStreamCreate(&stream);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  launch_beside_capture_kernel<<<1, 1>>>(value.data());
  cudaStreamEndCapture(stream, &graph);
  cudaStreamDestroy(stream);
  expect("the value", value.on_host()[0], 7);
}
