// Activations of the trained parameters, element by element.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

#define GSPLAT_ACTIVATION_KERNELS                                                                          \
  void scales_of_logarithms(const float* logarithms, float* scales, int64_t count);                        \
  void scales_of_logarithms_backward(const float* scales, const float* v_scales, float* v, int64_t count); \
  void opacities_of_logits(const float* logits, float* opacities, int64_t count);                          \
  void opacities_of_logits_backward(const float* opacities, const float* v_opacities, float* v,            \
                                    int64_t count);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_ACTIVATION_KERNELS)
