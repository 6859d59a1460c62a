// The structural similarity of two images (Wang et al. 2004) at one pixel, and its derivatives.
//
// SSIM of the local means m1, m2, variances v1, v2 and covariance v12 is C D / (A B) with
//     A = m1^2 + m2^2 + c1    B = v1 + v2 + c2    C = 2 m1 m2 + c1    D = 2 v12 + c2.
// "Local" means: filtered with a window, a product of two 1-D Gaussians of 1.5 pixels. The gradient with
// respect to image x1 filters the partial derivatives of each window's SSIM back onto the pixels:
//     w * dS/dm1  +  2 x1 (w * dS/dv1)  +  x2 (w * dS/dv12).
//
// Unlike the other formulas these only need arithmetic and ?:, so that T may be one of the compiler's
// vectors.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

// The window reaches this far; what lies outside the image counts as zero.
inline constexpr int kSsimRadius = 5;
inline constexpr int kSsimTaps = 2 * kSsimRadius + 1;

// Weight of the pixel k places from the first of the window. Rounded so that the floats add up to one: a
// window that does not would see a variance in a plain wall.
GSPLAT_HD constexpr float ssim_window(int k) {
  constexpr float kWindow[kSsimTaps] = {0.00102838036f, 0.00759875868f, 0.0360007733f, 0.109360687f,
                                        0.213005543f,   0.266011715f,   0.213005543f,  0.109360687f,
                                        0.0360007733f,  0.00759875868f, 0.00102838036f};
  return kWindow[k];
}

// Local means of both images, of the sum of their squares and of their product. Variances do not change when
// both are shifted by a constant: the pivot is taken off all pixels before, so that the squares are small.
template <class T>
struct SsimMoments {
  T x, y, squares, products;
};

// With respect to the mean of x, which includes what it does to the variances through E[x^2] - E[x]^2, to the
// variance of x and to the covariance.
template <class T>
struct SsimDerivatives {
  T mean, variance, covariance;
};

template <class T>
struct Ssim {
  T value;
  T x, y, m1, m2, a, b, c, d, inverse;

  GSPLAT_HD Ssim(const SsimMoments<T>& moments, float pivot) : x(moments.x), y(moments.y) {
    constexpr float kC1 = 1e-4f, kC2 = 9e-4f;
    T variance = moments.squares - x * x - y * y;
    T covariance = moments.products - x * y;
    // Rounding must not break 0 <= 2 |v12| <= v1 + v2, or pixels far outside [0, 1] could divide by zero.
    variance = variance < 0.0f ? T{} : variance;
    covariance = covariance > 0.5f * variance ? 0.5f * variance : covariance;
    covariance = covariance < -0.5f * variance ? -0.5f * variance : covariance;
    m1 = x + pivot;
    m2 = y + pivot;
    a = m1 * m1 + m2 * m2 + kC1;
    b = variance + kC2;
    c = 2.0f * m1 * m2 + kC1;
    d = 2.0f * covariance + kC2;
    inverse = 1.0f / (a * b);
    value = c * d * inverse;
  }

  GSPLAT_HD SsimDerivatives<T> derivatives() const {
    const T by_variance = -value * a * inverse;
    const T by_covariance = 2.0f * c * inverse;
    const T by_mean = 2.0f * inverse * (m2 * d - m1 * value * b);
    return {by_mean - 2.0f * x * by_variance - y * by_covariance, by_variance, by_covariance};
  }
};

// The same derivatives where a pivot is taken off the pixels that is larger by `change`.
template <class T>
GSPLAT_HD SsimDerivatives<T> with_other_pivot(const SsimDerivatives<T>& by, const T& change) {
  return {by.mean + change * (2.0f * by.variance + by.covariance), by.variance, by.covariance};
}

// Gradient of a pixel from the filtered derivatives around it; x and y are the pixels without the pivot.
template <class T>
GSPLAT_HD T ssim_pixel_gradient(const SsimDerivatives<T>& filtered, const T& x, const T& y) {
  return filtered.mean + 2.0f * x * filtered.variance + y * filtered.covariance;
}

// `scale` times the derivative of |x - y| with respect to x.
template <class T>
GSPLAT_HD T l1_pixel_gradient(const T& x, const T& y, float scale) {
  const T none = {};
  return (x > y ? none + scale : none) - (x < y ? none + scale : none);
}

GSPLAT_MATH_END
