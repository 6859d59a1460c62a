// What the machine can do at most: arithmetic on registers and streaming through memory. Kernels are judged
// by these rates (the roofline model, Williams et al. 2009).
#pragma once

#include <cstdint>

#include "cpu/isa.h"

#define GSPLAT_CEILING_KERNELS                                                                     \
  /* Floating-point operations done by `rounds` rounds of independent multiply-adds per thread. */ \
  void multiply_adds(int64_t rounds, double& operations);                                          \
  /* out = a + 3 b (the triad of the STREAM benchmark, McCalpin 1995). */                          \
  void triad(const float* a, const float* b, float* out, int64_t count);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_CEILING_KERNELS)
