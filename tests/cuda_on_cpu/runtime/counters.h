// What each kernel did, summed over its launches.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace cuda_on_cpu {

// An event, or a memory instruction, as warps execute it: a warp needs as many turns as its busiest lane.
struct Turns {
  uint64_t lanes = 0;  // executions by single threads
  uint64_t warps = 0;  // executions by warps, if their lanes stay together
};

struct Counters {
  uint64_t launches = 0, blocks = 0, threads = 0;
  uint64_t barriers = 0;                                  // completed barriers of blocks
  uint64_t warp_collectives = 0;                          // completed shuffles, votes and barriers of warps
  std::set<std::pair<std::string_view, unsigned>> waits;  // file and line of every barrier, of warps, too
  uint64_t global_atomics = 0, shared_atomics = 0;
  uint64_t shared_bytes = 0;  // most shared memory of a block
  std::map<std::string, Turns> events;
  // Where kernels are instrumented: bytes moved by other than atomic accesses.
  uint64_t global_load_bytes = 0, global_store_bytes = 0, shared_load_bytes = 0, shared_store_bytes = 0;
  // With the setting `profile`: memory instructions, and the 32-byte sectors of global memory that each
  // execution by a warp touches.
  Turns memory_instructions;
  uint64_t global_requests = 0, global_sectors = 0;
  std::map<std::string, Turns> lines;  // the busiest memory instruction of every source line
};

// By kernel, its template arguments included.
extern std::map<std::string, Counters> counters;

// As JSON: {kernel: {counter: number, "waits": [FILE:LINE], "events": {name: [lanes, warps]}, "lines": ...}}.
std::string counters_as_json();

}  // namespace cuda_on_cpu
