// Formulas with their derivatives on flat lists of numbers, and what reads and writes such lists.
#pragma once
#include <cstring>
#include <functional>
#include <stdexcept>
#include <vector>

#include "math/dual.h"
#include "math/project.h"

namespace formulas {

using gsplat::Camera;
using gsplat::CameraGrad;
using gsplat::Covariance2;
using gsplat::Dual;
using gsplat::Gaussian;
using gsplat::GivenCovariance;
using gsplat::Mat23;
using gsplat::Mat3;
using gsplat::Quaternion;
using gsplat::ScaledRotation;
using gsplat::Sym2;
using gsplat::Sym3;
using gsplat::Vec2;
using gsplat::Vec3;

template <class T>
using ListOf = std::vector<T>;
using List = ListOf<double>;

// Reads numbers one after the other; structs of T are read member by member.
template <class T>
class Reader {
public:
  explicit Reader(const ListOf<T>& list) : list_(list) {}
  template <class Value = T>
  Value take() {
    Value value;
    static_assert(sizeof(Value) % sizeof(T) == 0);
    const size_t count = sizeof(Value) / sizeof(T);
    if (next_ + count > list_.size()) throw std::runtime_error("too few numbers");
    std::memcpy(static_cast<void*>(&value), &list_[next_], sizeof(Value));
    next_ += count;
    return value;
  }

private:
  const ListOf<T>& list_;
  size_t next_ = 0;
};

template <class T = double, class... Value>
ListOf<T> flat(const Value&... values) {
  ListOf<T> list;
  const auto append = [&](const auto& value) {
    const T* numbers = reinterpret_cast<const T*>(&value);
    list.insert(list.end(), numbers, numbers + sizeof(value) / sizeof(T));
  };
  (append(values), ...);
  return list;
}

struct Formula {
  std::function<List(const List&)> value;
  std::function<List(const List&, const List&)> jvp, vjp;
};

// `value` is generic: a function template of ListOf<T>. Its jvp is itself with dual numbers.
template <class Value>
Formula formula(Value value, std::function<List(const List&, const List&)> vjp) {
  return {[=](const List& x) { return value(x); },
          [=](const List& x, const List& tangents) {
            ListOf<Dual<double>> dual(x.size());
            for (size_t i = 0; i < x.size(); ++i) dual[i] = {x[i], tangents[i]};
            List out;
            for (const auto& y : value(dual)) out.push_back(y.tangent);
            return out;
          },
          vjp};
}

}  // namespace formulas
