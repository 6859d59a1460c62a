// What every launcher of csrc/cuda needs. Launchers are plain C++ functions: they get their stream and their
// working memory from the caller, allocate nothing and wait for nothing.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace gsplat::cuda {

using Stream = cudaStream_t;

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("gsplat_core: CUDA: ") + what + ": " + cudaGetErrorString(error));
}

// Throws if the launch of `kernel`, just before, failed. Errors inside of it show up later.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

// How many blocks of `size` cover `count`.
inline unsigned blocks_of(int64_t size, int64_t count) {
  return static_cast<unsigned>((count + size - 1) / size);
}

// Cuts working memory into arrays, each aligned as CUDA wants it; with a null base it only measures.
class Carver {
public:
  explicit Carver(void* base) : base_(static_cast<char*>(base)) {}

  template <class T>
  T* take(int64_t count) {
    constexpr size_t kAlignment = 256;
    T* const array = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (sizeof(T) * static_cast<size_t>(count) + kAlignment - 1) / kAlignment * kAlignment;
    return array;
  }

  size_t used() const { return used_; }

private:
  char* base_;
  size_t used_ = 0;
};

}  // namespace gsplat::cuda
