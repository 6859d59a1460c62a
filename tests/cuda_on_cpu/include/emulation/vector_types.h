// CUDA's qualifiers and built-in vector types.
#pragma once

#include <cstdint>

#define __host__
#define __device__
#define __global__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

// Calls into the emulation stand where a GPU has one instruction.
#define CUDA_ON_CPU_INLINE inline __attribute__((always_inline))

#define CUDA_ON_CPU_VECTOR_TYPES(T, name)                                                  \
  struct name##1 { T x; };                                                                 \
  struct alignas(2 * sizeof(T)) name##2 { T x, y; };                                       \
  struct name##3 { T x, y, z; };                                                           \
  struct alignas(sizeof(T) < 4 ? 4 * sizeof(T) : 16) name##4 { T x, y, z, w; };            \
  CUDA_ON_CPU_INLINE constexpr name##1 make_##name##1(T x) { return {x}; }                 \
  CUDA_ON_CPU_INLINE constexpr name##2 make_##name##2(T x, T y) { return {x, y}; }         \
  CUDA_ON_CPU_INLINE constexpr name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
  CUDA_ON_CPU_INLINE constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
CUDA_ON_CPU_VECTOR_TYPES(signed char, char)
CUDA_ON_CPU_VECTOR_TYPES(unsigned char, uchar)
CUDA_ON_CPU_VECTOR_TYPES(short, short)
CUDA_ON_CPU_VECTOR_TYPES(unsigned short, ushort)
CUDA_ON_CPU_VECTOR_TYPES(int, int)
CUDA_ON_CPU_VECTOR_TYPES(unsigned int, uint)
CUDA_ON_CPU_VECTOR_TYPES(long long, longlong)
CUDA_ON_CPU_VECTOR_TYPES(unsigned long long, ulonglong)
CUDA_ON_CPU_VECTOR_TYPES(float, float)
CUDA_ON_CPU_VECTOR_TYPES(double, double)
#undef CUDA_ON_CPU_VECTOR_TYPES

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
  constexpr unsigned count() const { return x * y * z; }
};
