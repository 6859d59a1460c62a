// Lanes write to shared memory and read what others wrote, with __syncwarp between; a warp a turn.
#include "harness.h"

constexpr int kThreads = 128, kRounds = 6;

__global__ void warp_exchange_kernel(int* out) {
  __shared__ int values[kThreads];
  int mine = threadIdx.x;
  for (int round = 0; round < kRounds; ++round) {
    values[threadIdx.x] = mine;
    __syncwarp();
    mine = values[threadIdx.x ^ (1 + round)];
    __syncwarp();
  }
  out[threadIdx.x] = mine;
}

EXPORT void warp_exchange() {
  const DeviceArray<int> out(kThreads);
  warp_exchange_kernel<<<1, kThreads>>>(out.data());
  const std::vector<int> values = out.on_host();
  for (int i = 0; i < kThreads; ++i)
    expect("the value that came around", values[i], i ^ 1 ^ 2 ^ 3 ^ 4 ^ 5 ^ 6);
}
