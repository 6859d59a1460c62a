#include "fiber.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "address_sanitizer.h"

#if !defined(__x86_64__)
#error "switching between fibers is written for x86-64"
#endif

namespace cuda_on_cpu {

namespace {

constexpr size_t kStackSize = 256 << 10;
constexpr size_t kGuardSize = 4096;

Fiber* leaving = nullptr;

// Pushes what a call must preserve (System V), leaves the stack pointer in *save, and pops from the other
// stack.
extern "C" void cuda_on_cpu_switch_stack(void** save, void* load);
asm(R"(
.text
.p2align 4
.hidden cuda_on_cpu_switch_stack
.type cuda_on_cpu_switch_stack, @function
cuda_on_cpu_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_on_cpu_switch_stack, . - cuda_on_cpu_switch_stack
)");

}  // namespace

Fiber::Fiber(void (*entry)()) {
  static size_t created = 0;
  void* memory = mmap(nullptr, kGuardSize + kStackSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    perror("cuda_on_cpu: no memory for the stack of a thread");
    abort();
  }
  mprotect(memory, kGuardSize, PROT_NONE);  // a stack that overflows faults instead of damaging its neighbour
  stack_ = static_cast<char*>(memory) + kGuardSize;
  // Equal offsets would make all stacks compete for the same lines of the cache.
  size_ = kStackSize - created++ * 320 % 4096 / 64 * 64;
  restart(entry);
}

void Fiber::restart(void (*entry)()) {
  allow_access(stack_, size_);
  auto top = reinterpret_cast<void**>(reinterpret_cast<uintptr_t>(stack_ + size_) & ~uintptr_t(15));
  *--top = nullptr;  // the alignment that a function expects where it is called
  *--top = reinterpret_cast<void*>(entry);
  for (int preserved = 0; preserved < 6; ++preserved) *--top = nullptr;
  stack_pointer_ = top;
  shadow_stack_ = nullptr;
}

void Fiber::switch_to(Fiber& other) {
  leaving = this;
  start_stack_switch(&shadow_stack_, other.stack_, other.size_);
  cuda_on_cpu_switch_stack(&stack_pointer_, other.stack_pointer_);
  arrived(shadow_stack_);
}

void Fiber::arrived_for_the_first_time() { arrived(nullptr); }

void Fiber::arrived(void* shadow_stack) {
  const void* stack = nullptr;
  size_t size = 0;
  finish_stack_switch(shadow_stack, &stack, &size);
  if (leaving->stack_ != nullptr) return;
  // Only now is known where the stack lies that this process gave us.
  leaving->stack_ = static_cast<char*>(const_cast<void*>(stack));
  leaving->size_ = size;
}

}  // namespace cuda_on_cpu
