// Backward pass of spherical harmonics together with Adam's step of the coefficients, whose gradients are
// never written to memory.
#pragma once

#include "cpu/isa.h"
#include "math/adam.h"
#include "raster/adam.h"
#include "raster/types.h"

namespace gsplat {

// The coefficients as the optimizer sees them: all rows, of coefficient 0 and of the rest. `grad` and
// `visible` are not used.
struct ShAdam {
  AdamArrays first, rest;
  AdamStep first_step, rest_step;
  // Whether coefficients of degrees above the evaluated one, which have no gradients, have no moments either:
  // a step leaves them where they are, and they need not be looked at.
  bool higher_at_rest = false;
};

}  // namespace gsplat

// `out` has no place for gradients of coefficients.
#define GSPLAT_HARMONICS_ADAM_KERNELS                                                                    \
  void spherical_harmonics_backward_adam(const ShInputs& in, const float* colors, const float* v_colors, \
                                         const ShGrads& out, const ShAdam& adam);

GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_HARMONICS_ADAM_KERNELS)
