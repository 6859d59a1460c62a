#include "checker/races.h"

#include <algorithm>
#include <string>

#include "block.h"
#include "checker/checker.h"
#include "checker/code_positions.h"
#include "device_memory.h"
#include "reports.h"

namespace cuda_on_cpu {

void Races::begin_block(const Block& block) {
  for (unsigned thread = 0; thread < block.thread_count(); ++thread) {
    clocks_[thread].fill(0);
    clocks_[thread][thread % 32] = 1;
  }
  warp_barriers_.fill(0);
}

void Races::order_lanes(const Block& block, unsigned warp, uint32_t lanes) {
  std::array<uint32_t, 32> joined = {};
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const auto& clock = clocks_[warp * 32 + __builtin_ctz(rest)];
    for (int i = 0; i < 32; ++i) joined[i] = std::max(joined[i], clock[i]);
  }
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    clocks_[warp * 32 + lane] = joined;
    ++clocks_[warp * 32 + lane][lane];
  }
  if (lanes == block.warp(warp).alive) ++warp_barriers_[warp];
}

void Races::access(const Block& block, const Access& access, bool shared) {
  const auto start = reinterpret_cast<uintptr_t>(access.address), end = start + access.size;
  for (uintptr_t address = start & ~uintptr_t(3); address < end; address += 4) {
    uint8_t bytes = 0;
    for (int i = 0; i < 4; ++i) bytes |= (address + i >= start && address + i < end) << i;
    access_word(block, access, shared, address, bytes);
  }
}

void Races::access_word(const Block& block, const Access& access, bool shared, uintptr_t address,
                        uint8_t bytes) {
  Word& w = word(address);
  const Trace now = trace_of(block, access, bytes);
  const bool atomic = access.kind == AccessKind::atomic, writes = access.kind != AccessKind::read;
  const auto race = [&](const Trace& earlier, const char* first, const char* then) {
    const std::string where = shared ? text("shared '", block.shared_memory().at(access.address)->name, '\'')
                                     : std::string("device memory");
    report("race", text("nothing orders the ", first, " at ", code_position(earlier.code), " and the ", then,
                        " at ", code_position(access.code), ", both of ", where,
                        earlier.block == now.block ? ", in one block" : ", in different blocks"));
  };
  if ((w.writes.bytes & bytes) != 0 && !(atomic && w.atomic) && !before(block, w.writes, shared)) {
    race(w.writes, w.atomic ? "atomic operation" : "write",
         atomic   ? "atomic operation"
         : writes ? "write"
                  : "read");
  }
  if (!writes) return add(block, w.reads, now, shared);
  if ((w.reads.bytes & bytes) != 0 && !before(block, w.reads, shared)) {
    race(w.reads, "read", atomic ? "atomic operation" : "write");
  }
  if (atomic && w.atomic) {
    add(block, w.writes, now, shared);
  } else {
    w.writes = now;
    w.atomic = atomic;
  }
}

// Whether what the trace stands for happens before whatever the running thread does now.
bool Races::before(const Block& block, const Trace& trace, bool shared) const {
  if (trace.scope == Scope::none || trace.launch != block.launch()) return true;
  if (trace.scope == Scope::grid) return false;
  if (trace.block != block.rank()) return shared;  // shared memory of another block is another memory
  if (trace.epoch != block.epoch()) return true;
  const Thread& thread = *block.current();
  const bool same_warp = trace.thread / 32u == thread.warp();
  if (trace.scope == Scope::block) return false;
  if (trace.scope == Scope::warp) return same_warp && warp_barriers_[thread.warp()] > trace.clock;
  return trace.thread == thread.rank || (same_warp && clocks_[thread.rank][trace.thread % 32] >= trace.clock);
}

Races::Trace Races::trace_of(const Block& block, const Access& access, uint8_t bytes) const {
  const Thread& thread = *block.current();
  return {.block = block.rank(),
          .launch = block.launch(),
          .epoch = block.epoch(),
          .clock = clocks_[thread.rank][thread.lane()],
          .thread = static_cast<uint16_t>(thread.rank),
          .scope = Scope::thread,
          .bytes = bytes,
          .code = access.code};
}

// Lets a trace stand for one more access.
void Races::add(const Block& block, Trace& trace, const Trace& now, bool shared) const {
  const Trace earlier = trace;
  trace = now;
  if (before(block, earlier, shared)) return;
  if (earlier.scope == Scope::grid || earlier.block != now.block) {
    trace.scope = Scope::grid;
  } else if (earlier.scope == Scope::block || earlier.thread / 32 != now.thread / 32) {
    trace.scope = Scope::block;
  } else {
    trace.scope = Scope::warp;
    trace.clock = warp_barriers_[now.thread / 32];
  }
  trace.bytes |= earlier.bytes;
}

Races::Word& Races::word(uintptr_t address) {
  const uintptr_t number = address / (4 * kWordsPerPage);
  if (last_page_ == nullptr || number != last_page_number_) {
    std::unique_ptr<Page>& page = pages_[number];
    if (page == nullptr) page = std::make_unique<Page>();
    last_page_number_ = number;
    last_page_ = page.get();
  }
  return (*last_page_)[address / 4 % kWordsPerPage];
}

void Races::forget(const void* address, size_t size) {
  const auto start = reinterpret_cast<uintptr_t>(address);
  for (uintptr_t a = start & ~uintptr_t(3); a < start + size;) {
    const auto page = pages_.find(a / (4 * kWordsPerPage));
    if (page == pages_.end()) {
      a = (a / (4 * kWordsPerPage) + 1) * 4 * kWordsPerPage;
    } else {
      (*page->second)[a / 4 % kWordsPerPage] = {};
      a += 4;
    }
  }
}

}  // namespace cuda_on_cpu
