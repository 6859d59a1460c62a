// Cholesky factors of small symmetric matrices, and the solution of their systems.
//
// A matrix is its upper triangle, row by row; the factor R, A = R^T R, has the reciprocals of its diagonal in
// the places of the diagonal.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

// The place of entry (row, column), row <= column, of a packed upper triangle.
template <int kSize>
GSPLAT_HD constexpr int triangle_place(int row, int column) {
  return row * kSize - row * (row - 1) / 2 + column - row;
}

// Replaces A by the factor of A + diag(added).
template <int kSize, class T>
GSPLAT_HD void cholesky(T* a, const T* added) {
  for (int k = 0; k < kSize; ++k) {
    const T pivot = a[triangle_place<kSize>(k, k)] + added[k];
    T earlier(0.0);
    for (int i = 0; i < k; ++i) {
      earlier = fma(a[triangle_place<kSize>(i, k)], a[triangle_place<kSize>(i, k)], earlier);
    }
    // What rounding makes of a pivot that cancels counts as a small part of it.
    const T rest = max(pivot - earlier, T(1e-6) * pivot);
    const T inverse = select(rest > T(0.0), T(1.0) / sqrt(rest), T(0.0));
    a[triangle_place<kSize>(k, k)] = inverse;
    for (int j = k + 1; j < kSize; ++j) {
      T s = a[triangle_place<kSize>(k, j)];
      for (int i = 0; i < k; ++i) {
        s = fma(-a[triangle_place<kSize>(i, k)], a[triangle_place<kSize>(i, j)], s);
      }
      a[triangle_place<kSize>(k, j)] = s * inverse;
    }
  }
}

// Replaces the right-hand side x by the solution, given the factor.
template <int kSize, class T>
GSPLAT_HD void solve_factored(const T* r, T* x) {
  for (int k = 0; k < kSize; ++k) {
    T s = x[k];
    for (int i = 0; i < k; ++i) s = fma(-r[triangle_place<kSize>(i, k)], x[i], s);
    x[k] = s * r[triangle_place<kSize>(k, k)];
  }
  for (int k = kSize - 1; k >= 0; --k) {
    T s = x[k];
    for (int j = k + 1; j < kSize; ++j) s = fma(-r[triangle_place<kSize>(k, j)], x[j], s);
    x[k] = s * r[triangle_place<kSize>(k, k)];
  }
}

GSPLAT_MATH_END
