// Front-to-back "over" compositing and its derivative in one scalar per pixel and splat (extension point E6).
//
// A pixel blends sum_i w_i c_i with w_i = alpha_i T_i, T_i = prod_{j<i} (1 - alpha_j). Every payload that a
// splat carries enters its derivative through one number g_i = dL/dw_i. With E = sum_i w_i g_i over all
// splats of the pixel and R_i the sum up to and including i,
//
//     dL/dalpha_i = T_i g_i - (E - R_i) / (1 - alpha_i),
//
// and E is known before the backward pass starts: it is the product of the outputs with their gradients. So
// the backward pass walks front to back in exactly the order of the forward pass. What reaches the
// background belongs to g as well: with A = sum_i w_i = 1 - T_N, the background's dL/dT_N is part of -dL/dA.
//
// A compositor is a struct of these four functions and a line of raster/variants.h. The tests compare those
// of each one listed with finite differences and with the reference's weights; the kernels call this one by
// its name. A second one would double all kernels of {cpu/kernels,cuda}/response, and what it has to settle
// is not in these functions: what A and the background are where the weights do not add up to 1 - T_N, and
// what stands for the cap and for skipping below 1/255. Sums, such as line integrals of radiative fields, are
// no case of it: they have lean kernels of their own, {cpu/kernels,cuda}/sum_splats.*, for one response and
// one channel, without order and transmittance. The first method that wants another compositor
//   - writes `Compositor` for Over in cpu/simd/pixel_block.h, cuda/composite_tile.cuh and the kernels;
//   - lets csrc/build_units.py make a unit for each response and compositor (-DGSPLAT_COMPOSITOR), and the
//     calls for a response switch by both;
//   - makes its place in the list a number of RenderSettings (raster/settings.h, render/settings.py);
//   - has kernels that rely on Over refuse it: composite_moments of Gauss-Newton.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

struct Over {
  // Transmittance behind a splat.
  template <class T>
  GSPLAT_HD static T behind(const T& transmittance, const T& alpha) {
    return fma(-alpha, transmittance, transmittance);
  }

  // Whether a pixel is finished in front of the splat that would leave it this transmittance.
  template <class T>
  GSPLAT_HD static Mask<T> finished(const T& behind) {
    return behind <= T(1e-4);
  }

  // dL/dalpha of a splat in front of which the transmittance is T; `rest` = E - R_i.
  template <class T>
  GSPLAT_HD static T alpha_vjp(const T& transmittance, const T& alpha, const T& g, const T& rest) {
    return fma(-rest, reciprocal(T(1.0) - alpha), transmittance * g);
  }

  // dL/d ln alpha of the same, from w g: alpha alpha_vjp().
  template <class T>
  GSPLAT_HD static T log_alpha_vjp(const T& weighted_g, const T& alpha, const T& rest) {
    return fma(-(alpha * rest), reciprocal(T(1.0) - alpha), weighted_g);
  }
};

GSPLAT_MATH_END
