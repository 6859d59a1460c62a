// What the address sanitizer must be told; nothing in other builds.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace cuda_on_cpu {

#if defined(__SANITIZE_ADDRESS__)
inline void forbid_access(const void* p, size_t n) { __asan_poison_memory_region(p, n); }
inline void allow_access(const void* p, size_t n) { __asan_unpoison_memory_region(p, n); }
inline void start_stack_switch(void** shadow, const void* stack, size_t size) {
  __sanitizer_start_switch_fiber(shadow, stack, size);
}
inline void finish_stack_switch(void* shadow, const void** left, size_t* size) {
  __sanitizer_finish_switch_fiber(shadow, left, size);
}
#else
inline void forbid_access(const void*, size_t) {}
inline void allow_access(const void*, size_t) {}
inline void start_stack_switch(void**, const void*, size_t) {}
inline void finish_stack_switch(void*, const void**, size_t*) {}
#endif

}  // namespace cuda_on_cpu
