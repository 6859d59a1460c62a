// Working memory of kernels: grows when needed, keeps its size, contents undefined.
//
// Kept per_thread() by a kernel, it is allocated once and then reused by every later call. (The
// containers of the standard library are avoided in kernels because their out-of-line members would be
// compiled for one instruction set and merged by the linker with those of another; see csrc/cpu/isa.h.)
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "cpu/simd/simd.h"

namespace gsplat::GSPLAT_ISA {

// Large buffers are made of large pages where the system offers them: kernels reach into them here and there,
// and would miss the processor's table of ordinary pages almost every time.
inline void* allocate_pages(size_t bytes) {
  constexpr size_t kLargePage = size_t{1} << 21, kLine = 64;
  const size_t unit = bytes >= 2 * kLargePage ? kLargePage : kLine;
  const size_t rounded = (bytes + unit - 1) / unit * unit;
  void* data = std::aligned_alloc(unit, rounded);
  if (data == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (unit == kLargePage) madvise(data, rounded, MADV_HUGEPAGE);
#endif
  return data;
}

template <class T>
class Buffer {
public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  // At least `count` elements, aligned to a cache line. Earlier contents are lost when it grows.
  T* reserve(int64_t count) {
    if (count > capacity_) {
      std::free(data_);
      capacity_ = 0;
      data_ = nullptr;
      // A fifth more than asked for, so that slow growth does not reallocate on every call.
      const int64_t wanted = count + count / 5;
      data_ = static_cast<T*>(allocate_pages(static_cast<size_t>(wanted) * sizeof(T)));
      capacity_ = wanted;
    }
    return data_;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }

private:
  T* data_ = nullptr;
  int64_t capacity_ = 0;
};

// This thread's own T, made at its first use and kept. Opaque to the optimizer, which would otherwise look up
// the thread's storage again inside the hottest loops instead of keeping the address in a register.
template <class T>
[[gnu::noipa]] T& per_thread() {
  thread_local T value;
  return value;
}

}  // namespace gsplat::GSPLAT_ISA
