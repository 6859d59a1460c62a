#include "block.h"

#include <algorithm>
#include <string_view>

#include "checker/checker.h"
#include "emulation/indices.h"
#include "reports.h"
#include "settings.h"

namespace cuda_on_cpu {

Indices indices;
Block* running = nullptr;

const char* name_of(Collective kind) {
  static constexpr const char* names[] = {"__syncthreads",
                                          "__syncthreads_count",
                                          "__syncthreads_and",
                                          "__syncthreads_or",
                                          "__syncwarp",
                                          "group.sync",
                                          "shuffle",
                                          "ballot",
                                          "any",
                                          "all",
                                          "match_any",
                                          "match_all",
                                          "reduce"};
  return names[static_cast<int>(kind)];
}

namespace {
bool same_place(Site a, Site b) {
  return a.line() == b.line() && std::string_view(a.file_name()) == b.file_name();
}
}  // namespace

bool Block::run(const Grid& grid, uint64_t block_rank, uint64_t random) {
  start(grid, block_rank, random);
  checker.begin_block(*this);
  Fiber host;
  host_ = &host;
  if (Thread* first = next_thread()) {
    current_ = first;
    first->fiber = take_fiber();
    host.switch_to(*first->fiber);
  }
  // No thread can run any more.
  current_ = nullptr;
  const bool finished = alive_ == 0;
  if (!finished) {
    if (!ended_) report_deadlock();
    abandon_threads();
  }
  sum_events();
  checker.end_block(*this);
  counters_->blocks += 1;
  counters_->threads += threads_.size();
  counters_->shared_bytes = std::max<uint64_t>(counters_->shared_bytes, shared_memory_.size());
  return finished;
}

void Block::start(const Grid& grid, uint64_t block_rank, uint64_t random) {
  const dim3 size = grid.config.block, blocks = grid.config.grid;
  grid_ = &grid;
  counters_ = &cuda_on_cpu::counters[grid.kernel];
  rank_ = block_rank;
  random_ = random;
  indices.threads_per_block = size;
  indices.blocks_per_grid = blocks;
  indices.block = {static_cast<unsigned>(block_rank % blocks.x),
                   static_cast<unsigned>(block_rank / blocks.x % blocks.y),
                   static_cast<unsigned>(block_rank / blocks.x / blocks.y)};
  ++epoch_;
  arrived_ = agreeing_ = 0;
  alive_ = size.count();
  threads_.resize(alive_);
  for (Warp& warp : warps_) warp.alive = warp.waiting = 0;
  ready_begin_ = ready_end_ = 0;
  ended_ = false;
  for (uint32_t rank = 0; rank < alive_; ++rank) {
    Thread& thread = threads_[rank];
    thread.index = {rank % size.x, rank / size.x % size.y, rank / size.x / size.y};
    thread.rank = rank;
    thread.state = Thread::State::fresh;
    thread.fiber = nullptr;
    warps_[thread.warp()].alive |= 1u << thread.lane();
    push_ready(rank);
  }
  shared_memory_.clear(grid.config.dynamic_shared);
}

// What a fiber does: one turn for each thread that starts on it.
void Block::run_threads() {
  Fiber::arrived_for_the_first_time();
  for (;;) {
    Block& block = *running;
    block.enter(*block.current_);
    block.grid_->thread(block.grid_->arguments);
    block.exit_thread();
  }
}

void Block::enter(Thread& thread) {
  current_ = &thread;
  thread.state = Thread::State::running;
  indices.thread = thread.index;
}

// The running thread has ended. Returns when another one may start on its stack.
void Block::exit_thread() {
  Thread& thread = *current_;
  Warp& warp = warps_[thread.warp()];
  thread.state = Thread::State::exited;
  warp.alive &= ~(1u << thread.lane());
  --alive_;
  if (alive_ > 0 && arrived_ == alive_) complete_barrier();
  // Those who wait for this lane have waited for the last time.
  const unsigned first_rank = thread.rank - thread.lane();
  for (uint32_t rest = warp.waiting; rest != 0; rest &= rest - 1) {
    const uint32_t mask = threads_[first_rank + __builtin_ctz(rest)].mask;
    if ((mask >> thread.lane() & 1) != 0 && try_complete_warp_collective(warp, first_rank, mask)) break;
  }

  Fiber* fiber = thread.fiber;
  Thread* next = next_thread();
  if (next != nullptr && next->state == Thread::State::fresh) {
    next->fiber = fiber;
    current_ = next;
    return;
  }
  free_fibers_.push_back(fiber);
  current_ = next;
  fiber->switch_to(next != nullptr ? *next->fiber : *host_);
  // Taken again for a thread that starts, which is current by now.
}

// Leaves the running thread until it is ready and its turn has come.
void Block::wait() {
  Thread& thread = *current_;
  Thread* next = next_thread();
  if (next != &thread) {
    if (next != nullptr && next->state == Thread::State::fresh) next->fiber = take_fiber();
    current_ = next;
    thread.fiber->switch_to(next != nullptr ? *next->fiber : *host_);
  }
  enter(thread);
}

Thread* Block::next_thread() {
  if (ready_begin_ == ready_end_) return nullptr;
  uint16_t& next = ready_[ready_begin_++ % kMostThreads];
  if (settings.seed != 0) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    const uint32_t left = ready_end_ - ready_begin_ + 1;
    std::swap(next, ready_[(ready_begin_ - 1 + random_ % left) % kMostThreads]);
  }
  return &threads_[next];
}

void Block::make_ready(Thread& thread) {
  thread.state = Thread::State::ready;
  push_ready(thread.rank);
}

Fiber* Block::take_fiber() {
  if (free_fibers_.empty()) free_fibers_.push_back(&fibers_.emplace_back(&Block::run_threads));
  Fiber* fiber = free_fibers_.back();
  free_fibers_.pop_back();
  return fiber;
}

int Block::barrier(Collective kind, int predicate, Site site) {
  if (removed(site)) return predicate != 0;
  Thread& thread = *current_;
  if (arrived_ > 0 && (kind != barrier_kind_ || !same_place(site, barrier_site_))) {
    report("divergent barrier",
           text("threads of a block meet at different barriers: ", name_of(barrier_kind_), " at ",
                text_of(barrier_site_), " and ", name_of(kind), " at ", text_of(site)));
  }
  barrier_kind_ = thread.collective = kind;
  barrier_site_ = thread.site = site;
  thread.state = Thread::State::at_barrier;
  ++arrived_;
  agreeing_ += predicate != 0;
  if (arrived_ == alive_) complete_barrier();
  wait();
  return barrier_result_;
}

void Block::complete_barrier() {
  if (arrived_ < threads_.size()) {
    report("exit before barrier",
           text(threads_.size() - arrived_, " of ", threads_.size(), " threads have left their block before ",
                name_of(barrier_kind_), " at ", text_of(barrier_site_)));
  }
  barrier_result_ = barrier_kind_ == Collective::syncthreads_count ? agreeing_
                    : barrier_kind_ == Collective::syncthreads_and ? agreeing_ == static_cast<int>(arrived_)
                                                                   : agreeing_ != 0;
  arrived_ = agreeing_ = 0;
  ++epoch_;
  ++counters_->barriers;
  counters_->waits.emplace(barrier_site_.file_name(), barrier_site_.line());
  for (Thread& thread : threads_) {
    if (thread.state == Thread::State::at_barrier) make_ready(thread);
  }
}

uint64_t Block::warp_collective(Collective kind, uint32_t mask, uint64_t value, int argument,
                                Complete complete, Site site) {
  if (complete == nullptr && removed(site)) return 0;
  Thread& thread = *current_;
  const unsigned lane = thread.lane();
  Warp& warp = warps_[thread.warp()];
  if ((mask >> lane & 1) == 0) {
    std::ostringstream hex;
    hex << std::hex << mask;
    report("lane not in mask", text(name_of(kind), " at ", text_of(site),
                                    " is executed by a lane that its mask ", hex.str(), " lacks"));
    mask |= 1u << lane;
  }
  thread.collective = kind;
  thread.mask = mask;
  thread.complete = complete;
  thread.site = site;
  thread.state = Thread::State::at_warp_collective;
  warp.exchange.in[lane] = value;
  warp.exchange.argument[lane] = argument;
  warp.waiting |= 1u << lane;
  try_complete_warp_collective(warp, thread.rank - lane, mask);
  wait();
  return warp.exchange.out[lane];
}

// Completes the collective over the lanes of a mask if all that live have arrived. Several groups of lanes
// may wait in one warp at the same time.
bool Block::try_complete_warp_collective(Warp& warp, unsigned first_rank, uint32_t mask) {
  const uint32_t lanes = mask & warp.alive;
  if (lanes == 0 || (warp.waiting & lanes) != lanes) return false;
  const Thread& first = threads_[first_rank + __builtin_ctz(lanes)];
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const Thread& other = threads_[first_rank + __builtin_ctz(rest)];
    if (other.mask != mask) return false;
    if (other.collective != first.collective) {
      report("divergent warp",
             text("lanes of a warp meet at different operations: ", name_of(first.collective), " at ",
                  text_of(first.site), " and ", name_of(other.collective), " at ", text_of(other.site)));
    }
  }
  if (first.complete != nullptr) {
    checker.pause();
    first.complete(warp.exchange, lanes);
    checker.resume();
  }
  ++counters_->warp_collectives;
  // Shuffles and votes exchange registers. They do not order memory, whatever GPUs did so far.
  if (first.complete == nullptr) {
    counters_->waits.emplace(first.site.file_name(), first.site.line());
    checker.order_lanes(*this, first_rank / 32, lanes);
  }
  warp.waiting &= ~lanes;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    make_ready(threads_[first_rank + __builtin_ctz(rest)]);
  }
  return true;
}

void Block::yield() {
  make_ready(*current_);
  wait();
}

void Block::end_launch() {
  ended_ = true;
  ready_begin_ = ready_end_;
  current_->fiber->switch_to(*host_);
  __builtin_unreachable();
}

void Block::report_deadlock() {
  constexpr int kMostNamed = 4;
  std::string waiting;
  int named = 0;
  for (const Thread& thread : threads_) {
    if (thread.state == Thread::State::exited || named == kMostNamed) continue;
    waiting += text(named++ > 0 ? "; " : "", "warp ", thread.warp(), " lane ", thread.lane(), " in ",
                    name_of(thread.collective), " at ", text_of(thread.site));
  }
  report("deadlock", text(alive_, " of ", threads_.size(), " threads wait for ever: ", waiting));
}

void Block::abandon_threads() {
  for (Thread& thread : threads_) {
    if (thread.state == Thread::State::exited || thread.fiber == nullptr) continue;
    thread.fiber->restart(&Block::run_threads);
    free_fibers_.push_back(thread.fiber);
  }
}

bool Block::on_any_stack(const void* address) const {
  return std::any_of(fibers_.begin(), fibers_.end(), [&](const Fiber& f) { return f.holds(address); });
}

void Block::count_event(const char* name) {
  auto [entry, is_new] = events_.try_emplace(name);
  if (is_new) entry->second.fill(0);
  ++entry->second[current_->rank];
}

void Block::sum_events() {
  for (auto& [name, counts] : events_) {
    Turns& turns = counters_->events[name];
    for (unsigned first = 0; first < threads_.size(); first += 32) {
      const auto lanes = counts.begin() + first;
      turns.warps += *std::max_element(lanes, lanes + 32);
      for (int i = 0; i < 32; ++i) turns.lanes += lanes[i];
    }
  }
  events_.clear();
}

// What kernels call

int block_barrier(Collective kind, int predicate, Site site) {
  return running->barrier(kind, predicate, site);
}

uint64_t warp_collective(Collective kind, uint32_t mask, uint64_t value, int argument, Complete complete,
                         Site site) {
  return running->warp_collective(kind, mask, value, argument, complete, site);
}

void yield() { running->yield(); }

void trap(const char* why) {
  report("trap", why);
  running->end_launch();
}

void count_event(const char* name) { running->count_event(name); }

void* shared_variable(const void* key, size_t size, size_t alignment, const char* name) {
  char* address = running->shared_memory().variable(key, size, alignment, name);
  if (address == nullptr) trap("the variables of a block do not fit into shared memory");
  return address;
}

void* dynamic_shared_memory() { return running->shared_memory().dynamic(); }

}  // namespace cuda_on_cpu
