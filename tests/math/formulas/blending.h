// What a pixel makes of the splats that cover it.
#pragma once

#include "lists.h"
#include "math/compositor/over.h"

namespace formulas {

// A pixel that blends x.size() / 2 splats: inputs alpha_i and payload c_i, output sum_i w_i c_i. The
// derivative by alpha directly, or by its logarithm.
template <class Compositor>
Formula blending_formula(bool by_logarithm) {
  return formula(
      []<class T>(const ListOf<T>& x) {
        T t(1.0), sum(0.0);
        for (size_t i = 0; i < x.size(); i += 2) {
          sum = sum + t * x[i] * x[i + 1];
          t = Compositor::behind(t, x[i]);
        }
        return ListOf<T>{sum};
      },
      [=](const List& x, const List& v) {
        double t = 1, behind = 0;
        for (size_t i = 0; i < x.size(); i += 2) {
          behind += t * x[i] * x[i + 1] * v[0];
          t = Compositor::behind(t, x[i]);
        }
        List grad(x.size());
        t = 1;
        for (size_t i = 0; i < x.size(); i += 2) {
          const double g = x[i + 1] * v[0], w = t * x[i];
          behind -= w * g;
          grad[i] = by_logarithm ? Compositor::log_alpha_vjp(w * g, x[i], behind) / x[i]
                                 : Compositor::alpha_vjp(t, x[i], g, behind);
          grad[i + 1] = w * v[0];
          t = Compositor::behind(t, x[i]);
        }
        return grad;
      });
}

}  // namespace formulas
