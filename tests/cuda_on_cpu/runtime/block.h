// One block of threads and its scheduler. Each thread runs on a fiber and is left only where it waits for
// others; a thread that never waits costs no switch, the next one starts on the same stack.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "counters.h"
#include "emulation/collectives.h"
#include "emulation/launch.h"
#include "emulation/runtime_api.h"
#include "fiber.h"
#include "shared_memory.h"

namespace cuda_on_cpu {

class Thread {
public:
  enum class State : uint8_t { fresh, ready, running, at_barrier, at_warp_collective, exited };

  uint3 index;
  uint32_t rank;
  State state;
  // What it waits at.
  Collective collective;
  uint32_t mask;
  Complete complete;
  Site site;
  Fiber* fiber;

  unsigned lane() const { return rank % 32; }
  unsigned warp() const { return rank / 32; }
};

struct Warp {
  uint32_t alive, waiting;  // sets of lanes
  Exchange exchange;
};

// A launch, as the blocks of its grid see it.
struct Grid {
  std::string kernel;
  LaunchConfig config;
  void (*thread)(void*);
  void* arguments;
  uint32_t number;  // of the launch
};

class Block {
public:
  static constexpr unsigned kMostThreads = 1024;

  // Runs all threads of one block to their end. Returns false when the launch cannot go on.
  bool run(const Grid& grid, uint64_t block_rank, uint64_t random);

  // For the running thread.
  int barrier(Collective kind, int predicate, Site site);
  uint64_t warp_collective(Collective kind, uint32_t mask, uint64_t value, int argument, Complete complete,
                           Site site);
  void yield();
  void count_event(const char* name);
  [[noreturn]] void end_launch();

  const std::string& kernel() const { return grid_->kernel; }
  uint32_t launch() const { return grid_->number; }
  uint64_t rank() const { return rank_; }
  uint32_t epoch() const { return epoch_; }  // counts barriers, of all blocks
  const Thread* current() const { return current_; }
  const Warp& warp(unsigned index) const { return warps_[index]; }
  unsigned thread_count() const { return threads_.size(); }
  SharedMemory& shared_memory() { return shared_memory_; }
  const SharedMemory& shared_memory() const { return shared_memory_; }
  // Whether an address lies on the stack of the running thread, or of any.
  bool on_own_stack(const void* address) const { return current_->fiber->holds(address); }
  bool on_any_stack(const void* address) const;
  Counters& counters() { return *counters_; }

private:
  void start(const Grid& grid, uint64_t block_rank, uint64_t random);
  static void run_threads();
  void exit_thread();
  Thread* next_thread();
  void make_ready(Thread& thread);
  void push_ready(uint32_t rank) { ready_[ready_end_++ % kMostThreads] = rank; }
  void enter(Thread& thread);
  void wait();
  Fiber* take_fiber();
  void complete_barrier();
  bool try_complete_warp_collective(Warp& warp, unsigned first_rank, uint32_t mask);
  void report_deadlock();
  void abandon_threads();
  void sum_events();

  const Grid* grid_ = nullptr;
  Counters* counters_ = nullptr;
  uint64_t rank_ = 0;
  uint32_t epoch_ = 0;
  uint64_t random_ = 0;

  std::vector<Thread> threads_;
  std::array<Warp, kMostThreads / 32> warps_;
  // A ring of ranks: no thread is in it twice.
  std::array<uint16_t, kMostThreads> ready_;
  uint32_t ready_begin_ = 0, ready_end_ = 0;
  unsigned alive_ = 0;
  bool ended_ = false;  // before its time, by end_launch()
  Thread* current_ = nullptr;

  unsigned arrived_ = 0;
  int agreeing_ = 0, barrier_result_ = 0;
  Collective barrier_kind_ = Collective::syncthreads;
  Site barrier_site_;

  Fiber* host_ = nullptr;
  std::deque<Fiber> fibers_;
  std::vector<Fiber*> free_fibers_;

  SharedMemory shared_memory_;
  std::unordered_map<const char*, std::array<uint32_t, kMostThreads>> events_;
};

// The block that runs, null while host code does.
extern Block* running;

// "__syncwarp" and so on.
const char* name_of(Collective kind);

}  // namespace cuda_on_cpu
