#include "checker/checker.h"

#include "block.h"
#include "checker/code_positions.h"
#include "device_memory.h"
#include "emulation/indices.h"
#include "poison.h"
#include "reports.h"
#include "settings.h"

namespace cuda_on_cpu {

Checker checker;
constinit bool Checker::enabled_ = false;

namespace {

const char* verb(AccessKind kind) {
  return kind == AccessKind::read    ? "read of "
         : kind == AccessKind::write ? "write of "
                                     : "atomic operation on ";
}

// Copies of whole structs may include padding, which nobody writes.
constexpr size_t kLargestScalar = 16;

bool reads_poison(const Access& access) {
  return access.kind != AccessKind::write && access.size <= kLargestScalar &&
         has_poison(access.address, access.size);
}

bool is_index(const void* address) {
  return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(&indices) < sizeof indices;
}

}  // namespace

void Checker::begin_block(const Block& block) {
  if (enabled_) races_.begin_block(block);
}

void Checker::end_block(Block& block) {
  if (enabled_ && settings.profile) profile_.end_block(block);
}

void Checker::order_lanes(const Block& block, unsigned warp, uint32_t lanes) {
  if (enabled_) races_.order_lanes(block, warp, lanes);
}

void Checker::access(const Access& access) {
  if (!settings.check || pauses_ > 0) return;
  if (running == nullptr || running->current() == nullptr) return access_by_host(access);
  Block& block = *running;
  if (block.on_own_stack(access.address) || is_index(access.address)) return;
  if (block.shared_memory().holds(access.address)) {
    access_to_shared(block, access);
  } else {
    access_to_global(block, access);
  }
}

void Checker::access_by_host(const Access& access) {
  if (device_memory.at(access.address) == nullptr) return;
  report("host access", text("host code makes a ", verb(access.kind), access.size,
                             " bytes of device memory, at ", code_position(access.code)));
}

void Checker::access_to_shared(Block& block, const Access& access) {
  const SharedMemory& memory = block.shared_memory();
  const SharedMemory::Variable* variable = memory.at(access.address);
  const auto* address = static_cast<const char*>(access.address);
  if (variable == nullptr || address + access.size > variable->address + variable->size) {
    illegal(block, access, memory.describe(address));
  }
  Counters& counters = block.counters();
  if (access.kind == AccessKind::read) counters.shared_load_bytes += access.size;
  if (access.kind == AccessKind::write) counters.shared_store_bytes += access.size;
  if (settings.profile) profile_.access(block, access, false);
  if (reads_poison(access)) {
    report("uninitialised", text(verb(access.kind), "shared '", variable->name,
                                 "' that this block has never written, at ", code_position(access.code)));
  }
  races_.access(block, access, true);
}

void Checker::access_to_global(Block& block, const Access& access) {
  const Allocation* allocation = device_memory.at(access.address);
  if (allocation == nullptr) {
    if (is_constant(access.address)) return;
    if (block.on_any_stack(access.address)) {
      report("local memory of another thread",
             text(verb(access.kind), access.size, " bytes, at ", code_position(access.code)));
      block.end_launch();
    }
  }
  const auto start = reinterpret_cast<uintptr_t>(access.address);
  if (allocation == nullptr || start + access.size > allocation->start + allocation->size) {
    illegal(block, access, device_memory.describe(access.address));
  }
  Counters& counters = block.counters();
  if (access.kind == AccessKind::read) counters.global_load_bytes += access.size;
  if (access.kind == AccessKind::write) counters.global_store_bytes += access.size;
  if (settings.profile) profile_.access(block, access, true);
  if (reads_poison(access)) {
    report("uninitialised",
           text(verb(access.kind), "device memory never written: ", device_memory.describe(access.address),
                ", at ", code_position(access.code)));
  }
  races_.access(block, access, false);
}

void Checker::illegal(Block& block, const Access& access, const std::string& where) {
  report("out of bounds",
         text(verb(access.kind), access.size, " bytes, at ", code_position(access.code), ": ", where));
  block.end_launch();
}

void Checker::range(const void* address, size_t size, bool write) {
  if (!enabled_ || !settings.check || size == 0) return;
  const Allocation* allocation = device_memory.at(address);
  const auto start = reinterpret_cast<uintptr_t>(address);
  if (allocation == nullptr || start + size > allocation->start + allocation->size) {
    report("out of bounds", text("a call of the runtime or a library ", write ? "writes " : "reads ", size,
                                 " bytes: ", device_memory.describe(address)));
  } else if (!write && has_poison(address, size)) {
    report("uninitialised", text("a call of the runtime or a library reads device memory never written: ",
                                 device_memory.describe(address)));
  }
}

void note_atomic(const void* address, size_t size, const void* code) {
  Block& block = *running;
  Counters& counters = block.counters();
  ++(block.shared_memory().holds(address) ? counters.shared_atomics : counters.global_atomics);
  checker.access({address, size, AccessKind::atomic, code});
}

void pause_checker() { checker.pause(); }
void resume_checker() { checker.resume(); }

void note_range(const void* address, size_t size, bool write) { checker.range(address, size, write); }

}  // namespace cuda_on_cpu
