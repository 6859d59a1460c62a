// A stack on which code can be left and gone on with later.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cuda_on_cpu {

class Fiber {
public:
  // The stack that is running, to come back to it.
  Fiber() = default;
  // A new stack; `entry` runs on it when it is switched to for the first time and must never return.
  explicit Fiber(void (*entry)());
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves this stack, which must be running, for the other; returns when this one is switched to again.
  void switch_to(Fiber& other);

  // Forgets what runs on this stack and starts `entry` afresh at the next switch.
  void restart(void (*entry)());

  // Must be the first call of an entry.
  static void arrived_for_the_first_time();

  bool holds(const void* address) const {
    return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(stack_) < size_;
  }

private:
  static void arrived(void* shadow_stack);

  char* stack_ = nullptr;
  size_t size_ = 0;
  void* stack_pointer_ = nullptr;
  // What the address sanitizer keeps for a stack that was left.
  void* shadow_stack_ = nullptr;
};

}  // namespace cuda_on_cpu
