// The functions that instrumented code calls at each access to memory. Their names and arguments are those of
// the thread sanitizer's library, whose place they take.
#include <cstring>

#include "checker/checker.h"

using cuda_on_cpu::AccessKind;
using cuda_on_cpu::checker;

#define HERE __builtin_return_address(0)

#define CUDA_ON_CPU_ACCESSES(size)                                                                 \
  void __tsan_read##size(void* p) { checker.access({p, size, AccessKind::read, HERE}); }           \
  void __tsan_write##size(void* p) { checker.access({p, size, AccessKind::write, HERE}); }         \
  void __tsan_unaligned_read##size(void* p) { checker.access({p, size, AccessKind::read, HERE}); } \
  void __tsan_unaligned_write##size(void* p) { checker.access({p, size, AccessKind::write, HERE}); }

extern "C" {

CUDA_ON_CPU_ACCESSES(1)
CUDA_ON_CPU_ACCESSES(2)
CUDA_ON_CPU_ACCESSES(4)
CUDA_ON_CPU_ACCESSES(8)
CUDA_ON_CPU_ACCESSES(16)
void __tsan_read_range(void* p, unsigned long size) { checker.access({p, size, AccessKind::read, HERE}); }
void __tsan_write_range(void* p, unsigned long size) { checker.access({p, size, AccessKind::write, HERE}); }

void* __tsan_memcpy(void* to, const void* from, unsigned long size) {
  checker.access({from, size, AccessKind::read, HERE});
  checker.access({to, size, AccessKind::write, HERE});
  return memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, unsigned long size) {
  checker.access({from, size, AccessKind::read, HERE});
  checker.access({to, size, AccessKind::write, HERE});
  return memmove(to, from, size);
}
void* __tsan_memset(void* p, int value, unsigned long size) {
  checker.access({p, size, AccessKind::write, HERE});
  return memset(p, value, size);
}

void __tsan_init() { cuda_on_cpu::Checker::enable(); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

}  // extern "C"
