// Shuffles, votes, matches and reductions, with full and partial masks.
#include "harness.h"

constexpr unsigned kFull = 0xffffffffu;

__global__ void warp_primitives_kernel(unsigned* wrong) {
  const unsigned lane = threadIdx.x % 32;
  unsigned errors = 0;
  errors |= (__shfl_sync(kFull, lane, 5) != 5) << 0;
  errors |= (__shfl_sync(kFull, lane, 5, 8) != lane / 8 * 8 + 5) << 1;
  errors |= (__shfl_up_sync(kFull, lane, 3) != (lane < 3 ? lane : lane - 3)) << 2;
  errors |= (__shfl_down_sync(kFull, lane, 3) != (lane > 28 ? lane : lane + 3)) << 3;
  errors |= (__shfl_xor_sync(kFull, lane, 9) != (lane ^ 9)) << 4;
  const double4 wide = {1.0 * lane, 2.0 * lane, 3.0 * lane, 4.0 * lane};
  errors |= (__shfl_sync(kFull, wide, 7).w != 28.0) << 5;
  errors |= (__ballot_sync(kFull, lane % 2) != 0xaaaaaaaau) << 6;
  errors |= (__any_sync(kFull, lane == 31) == 0 || __any_sync(kFull, 0) != 0) << 7;
  errors |= (__all_sync(kFull, lane < 32) == 0 || __all_sync(kFull, lane != 4) != 0) << 8;
  errors |= (__match_any_sync(kFull, lane / 4) != 0xfu << lane / 4 * 4) << 9;
  int same;
  errors |= (__match_all_sync(kFull, 7, &same) != kFull || same == 0) << 10;
  errors |= (__match_all_sync(kFull, lane, &same) != 0 || same != 0) << 11;
  errors |= (__reduce_add_sync(kFull, lane) != 496) << 12;
  errors |= (__reduce_max_sync(kFull, lane) != 31 || __reduce_min_sync(kFull, lane + 2) != 2) << 13;
  // The two halves of the warp go different ways and do not meet.
  if (lane < 16) {
    errors |= (__ballot_sync(0x0000ffffu, lane == 2) != 4) << 14;
    errors |= (__shfl_xor_sync(0x0000ffffu, lane, 1) != (lane ^ 1)) << 15;
  } else {
    errors |= (__shfl_xor_sync(0xffff0000u, lane, 2) != (lane ^ 2)) << 16;
  }
  wrong[threadIdx.x] = errors;
}

// Lanes that have left are not waited for.
__global__ void left_lanes_kernel(unsigned* votes) {
  votes[threadIdx.x] = 0;
  if (threadIdx.x % 32 >= 20) return;
  votes[threadIdx.x] = __ballot_sync(kFull, 1);
}

EXPORT void warp_primitives() {
  const DeviceArray<unsigned> wrong(96), votes(64);
  warp_primitives_kernel<<<1, 96>>>(wrong.data());
  for (unsigned errors : wrong.on_host()) expect("the set of wrong results", errors, 0u);
  left_lanes_kernel<<<1, 64>>>(votes.data());
  expect("the vote of the lanes that stay", votes.on_host()[40], 0xfffffu);
}
