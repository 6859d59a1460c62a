// What a stream may meet while it is captured; afterwards everything may be called again.
#include <cub/cub.cuh>

#include "harness.h"

__global__ void capture_kernel(int* values) { values[threadIdx.x] += static_cast<int>(threadIdx.x); }

EXPORT void capture() {
  constexpr size_t kItems = 40;
  const DeviceArray<int> values(kItems), sums(kItems);
  size_t size = 0;
  cub::DeviceScan::InclusiveSum(nullptr, size, values.data(), sums.data(), kItems);
  const DeviceArray<char> workspace(size);
  cudaStream_t stream;
  cudaEvent_t event;
  cudaGraph_t graph;
  cudaStreamCreate(&stream);
  cudaEventCreate(&event);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  cudaMemsetAsync(values.data(), 0, kItems * sizeof(int), stream);
  capture_kernel<<<1, kItems, 0, stream>>>(values.data());
  cub::DeviceScan::InclusiveSum(workspace.data(), size, values.data(), sums.data(), kItems, stream);
  cudaMemcpyAsync(values.data(), sums.data(), kItems * sizeof(int), cudaMemcpyDeviceToDevice, stream);
  cudaEventRecord(event, stream);
  expect("the capture is valid", cudaStreamEndCapture(stream, &graph) == cudaSuccess, true);
  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
  cudaDeviceSynchronize();
  expect("the last sum", values.on_host().back(), static_cast<int>(kItems * (kItems - 1) / 2));
}
