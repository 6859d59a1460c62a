// Where threads wait for each other: what kernels call, implemented by the scheduler (runtime/block.cpp).
#pragma once

#include <cstdint>
#include <source_location>

namespace cuda_on_cpu {

// The place of a call in the kernel's source. As a default argument it is that of the caller.
using Site = std::source_location;

enum class Collective : uint8_t {
  syncthreads,
  syncthreads_count,
  syncthreads_and,
  syncthreads_or,
  syncwarp,
  group_sync,
  shuffle,
  ballot,
  any,
  all,
  match_any,
  match_all,
  reduce,
};

// Waits for all threads of the block; the result is that of __syncthreads_count, _and, _or.
int block_barrier(Collective kind, int predicate, Site site);

// What the lanes of a warp bring to a collective and take away from it.
struct Exchange {
  uint64_t in[32], out[32];
  int argument[32];
};
// Fills `out` of the lanes in the set once all of them have arrived.
using Complete = void (*)(Exchange& exchange, uint32_t lanes);

// Waits for the lanes of the mask that have not exited; the result is this lane's `out`.
uint64_t warp_collective(Collective kind, uint32_t mask, uint64_t value, int argument, Complete complete,
                         Site site);

void complete_shuffle(Exchange& exchange, uint32_t lanes);  // argument: the lane to read from
void complete_vote(Exchange& exchange, uint32_t lanes);     // out: ballot, and the lanes in the upper half
void complete_match(Exchange& exchange, uint32_t lanes);    // out: lanes with the same value

// Lets other threads of the block run.
void yield();

// Ends the launch with an error.
[[noreturn]] void trap(const char* why);

}  // namespace cuda_on_cpu
