// Dual numbers: forward-mode derivatives of every formula, from its value function alone.
//
// Dual<F> is a scalar type like any other (math/scalar.h): a value and the tangent, the change of the value
// along one direction of the inputs. Instantiated with it, value() becomes value_jvp(): the same text, so a
// formula stands once however it is differentiated. Tangents follow the choices that the values make: select,
// min and max pass on the tangent of what was chosen, as the _vjp functions do.
#pragma once

#include "math/elementary.h"
#include "math/linalg.h"

GSPLAT_MATH_BEGIN

template <class F>
struct Dual {
  F value, tangent;

  Dual() = default;
  GSPLAT_HD Dual(const F& value_, const F& tangent_) : value(value_), tangent(tangent_) {}
  GSPLAT_HD explicit Dual(double constant) : value(F(constant)), tangent(F(0.0)) {}

  friend GSPLAT_HD Dual operator+(const Dual& a, const Dual& b) {
    return {a.value + b.value, a.tangent + b.tangent};
  }
  friend GSPLAT_HD Dual operator-(const Dual& a, const Dual& b) {
    return {a.value - b.value, a.tangent - b.tangent};
  }
  friend GSPLAT_HD Dual operator-(const Dual& a) { return {-a.value, -a.tangent}; }
  friend GSPLAT_HD Dual operator*(const Dual& a, const Dual& b) {
    return {a.value * b.value, fma(a.value, b.tangent, a.tangent * b.value)};
  }
  friend GSPLAT_HD Dual operator/(const Dual& a, const Dual& b) {
    const F q = a.value / b.value;
    return {q, fma(-q, b.tangent, a.tangent) / b.value};
  }

  friend GSPLAT_HD Mask<F> operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend GSPLAT_HD Mask<F> operator<=(const Dual& a, const Dual& b) { return a.value <= b.value; }
  friend GSPLAT_HD Mask<F> operator>(const Dual& a, const Dual& b) { return a.value > b.value; }
  friend GSPLAT_HD Mask<F> operator>=(const Dual& a, const Dual& b) { return a.value >= b.value; }
};

template <class F>
struct MaskOf<Dual<F>> {
  using type = Mask<F>;
};

template <class F>
GSPLAT_HD Dual<F> constant(const Dual<F>& a) {
  return {a.value, F(0.0)};
}

template <class F>
GSPLAT_HD Dual<F> select(Mask<F> mask, const Dual<F>& yes, const Dual<F>& no) {
  return {select(mask, yes.value, no.value), select(mask, yes.tangent, no.tangent)};
}

template <class F>
GSPLAT_HD Dual<F> min(const Dual<F>& a, const Dual<F>& b) {
  return select<F>(a < b, a, b);
}
template <class F>
GSPLAT_HD Dual<F> max(const Dual<F>& a, const Dual<F>& b) {
  return select<F>(a > b, a, b);
}

template <class F>
GSPLAT_HD Dual<F> abs(const Dual<F>& a) {
  return select<F>(a.value < F(0.0), -a, a);
}

template <class F>
GSPLAT_HD Dual<F> reciprocal(const Dual<F>& a) {
  const F inverse = reciprocal(a.value);
  return {inverse, -(a.tangent * inverse * inverse)};
}

template <class F>
GSPLAT_HD Dual<F> sqrt(const Dual<F>& a) {
  const F root = sqrt(a.value);
  return {root, F(0.5) * a.tangent / root};
}

template <class F>
GSPLAT_HD Dual<F> floor(const Dual<F>& a) {
  return {floor(a.value), F(0.0)};
}

template <class F>
GSPLAT_HD Dual<F> fma(const Dual<F>& a, const Dual<F>& b, const Dual<F>& c) {
  return {fma(a.value, b.value, c.value), fma(a.value, b.tangent, fma(a.tangent, b.value, c.tangent))};
}

// The tangent of y = 2^x.
template <class F>
GSPLAT_HD F exp2_tangent(const F& y, const F& t_x) {
  return F(kLn2) * y * t_x;
}
template <class F>
GSPLAT_HD Dual<F> exp2(const Dual<F>& x) {
  const F y = exp2(x.value);
  return {y, exp2_tangent(y, x.tangent)};
}
template <class F>
GSPLAT_HD Dual<F> exp(const Dual<F>& x) {
  const F y = exp(x.value);
  return {y, y * x.tangent};
}
template <class F>
GSPLAT_HD Dual<F> exp2_up_to_127(const Dual<F>& x) {
  const F y = exp2_up_to_127(x.value);
  return {y, exp2_tangent(y, x.tangent)};
}
template <class F>
GSPLAT_HD Dual<F> log2(const Dual<F>& x) {
  return {log2(x.value), F(kLog2E) * x.tangent / x.value};
}

// The tangent too is without cancellation inside each of its two terms.
template <class F>
GSPLAT_HD Dual<F> difference_of_products(const Dual<F>& a, const Dual<F>& b, const Dual<F>& c,
                                         const Dual<F>& d) {
  return {difference_of_products(a.value, b.value, c.value, d.value),
          difference_of_products(a.tangent, b.value, c.tangent, d.value) +
              difference_of_products(a.value, b.tangent, c.value, d.tangent)};
}

GSPLAT_MATH_END
