// N Gaussians in the place of one, without a change of the image (Kheradmand et al. 2024, "3D Gaussian
// Splatting as Markov Chain Monte Carlo", equation 9).
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

// What each of the N Gaussians gets.
template <class T>
struct Relocated {
  T opacity;
  T scale_ratio;  // new standard deviation / old one
};

// The opacity of the original is taken as at most 1 - 2^-23, short of 1 by the precision of a float: of N
// copies of something entirely opaque each would be entirely opaque.
//
// With o' = 1 - (1 - o)^(1/N), N coincident copies have together opacity o at their centre; and they keep
// what a ray through the centre accumulates across the Gaussian if their size shrinks by o / Z,
//
//   Z = sum_{i=1..N} sum_{k=0..i-1} C(i-1, k) (-1)^k o'^(k+1) / sqrt(k + 1)
//     = sum_{k=1..N} C(N, k) (-1)^(k-1) o'^k / sqrt(k)
//
// (the sums of a column of Pascal's triangle are entries of the next one). Terms alternate, and the largest
// is below (1 + o')^N, at most 2e5 for N = 51: in double precision that leaves ten digits.
template <class T>
GSPLAT_HD Relocated<T> relocated(T opacity, int copies) {
  const T original = min(opacity, T(1.0 - 1.0 / 8388608.0));
  const T shared = -::expm1(::log1p(-original) / T(copies));
  T term = T(-1.0), sum = T(0.0);
  for (int k = 1; k <= copies; ++k) {
    term = -term * shared * (T(copies - k + 1) / T(k));
    sum = sum + term / sqrt(T(k));
  }
  return {shared, sum > T(0.0) ? original / sum : T(1.0)};
}

GSPLAT_MATH_END
