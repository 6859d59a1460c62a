// Looks at every memory access of the kernels: bounds, memory never written, races; and counts them.
//
// Kernels are compiled with -fsanitize=thread, which makes the compiler call a function at each access, and
// linked without that sanitizer's library. The functions called are ours (access_calls.cpp). They know which
// thread of which block is running. Kernels compiled without the flag are executed in the same way, unseen.
#pragma once

#include <cstddef>
#include <cstdint>

#include "checker/profile.h"
#include "checker/races.h"

namespace cuda_on_cpu {

class Block;

enum class AccessKind : uint8_t { read, write, atomic };

struct Access {
  const void* address;
  size_t size;
  AccessKind kind;
  const void* code;  // of the instruction that follows
};

class Checker {
public:
  // Called when a library is loaded whose kernels are instrumented; nothing is checked without.
  static void enable() { enabled_ = true; }

  void begin_block(const Block& block);
  void end_block(Block& block);
  // A barrier of some lanes of a warp.
  void order_lanes(const Block& block, unsigned warp, uint32_t lanes);

  // An access by instrumented code; ends the launch if it is illegal, as a GPU does.
  void access(const Access& access);
  // An access by the runtime or a library call on the host.
  void range(const void* address, size_t size, bool write);
  // Between the two, accesses are the emulation's own.
  void pause() { ++pauses_; }
  void resume() { --pauses_; }
  // Memory that is given back.
  void forget(const void* address, size_t size) { races_.forget(address, size); }

private:
  void access_by_host(const Access& access);
  void access_to_shared(Block& block, const Access& access);
  void access_to_global(Block& block, const Access& access);
  [[noreturn]] void illegal(Block& block, const Access& access, const std::string& where);

  static constinit bool enabled_;
  int pauses_ = 0;
  Races races_;
  Profile profile_;
};
extern Checker checker;

}  // namespace cuda_on_cpu
