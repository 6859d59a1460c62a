// Exact neighbours of places among points. `Search` is that of a device.
#pragma once

#include <optional>
#include <tuple>

#include "ops/checks.h"
#include "ops/finite.h"
#include "raster/neighbors.h"

namespace gsplat::ops {

inline const int64_t* longs(const Tensor& tensor) {
  return static_cast<const int64_t*>(tensor.const_data_ptr());
}
inline int64_t* mutable_longs(Tensor& tensor) { return static_cast<int64_t*>(tensor.mutable_data_ptr()); }

// Points, and where neighbours are looked for among them.
template <class Search>
struct NeighborArguments {
  Tensor points;
  std::optional<Tensor> queries, own, radii;

  // Checks and packs them.
  NeighborArguments(Tensor points_, std::optional<Tensor> queries_, std::optional<Tensor> own_,
                    std::optional<Tensor> radii_)
      : points(points_), queries(queries_), own(own_), radii(radii_) {
    check_tensor(points, "points", {kAny, 3});
    if (queries.has_value()) check_tensor(*queries, "queries", {kAny, 3});
    STD_TORCH_CHECK(queries.has_value() || !own.has_value(),
                    "gsplat_core: argument 'own' is for queries, and there are none");
    if (own.has_value()) check_tensor(*own, "own", {count()}, ScalarType::Long);
    if (radii.has_value()) check_tensor(*radii, "radii", {count()});
    check_same_device({{"points", points}, {"queries", queries}, {"own", own}, {"radii", radii}});
    check_index_range(points.size(0), "points");
    check_index_range(count(), "queries");
    points = packed(points);
    queries = packed(queries);
    own = packed(own);
    radii = packed(radii);
    check_finite<Search>(points, "points", points.size(0), 3);
    if (queries.has_value()) check_finite<Search>(*queries, "queries", count(), 3);
  }

  int64_t count() const { return queries.has_value() ? queries->size(0) : points.size(0); }
  Search search() const {
    return Search(points, {count(), floats(queries), own.has_value() ? longs(*own) : nullptr, floats(radii)});
  }
};

template <class Search>
std::tuple<Tensor, Tensor> knn(Tensor points, int64_t k, std::optional<Tensor> queries,
                               std::optional<Tensor> own, std::optional<Tensor> radii) {
  STD_TORCH_CHECK(k >= 1, "gsplat_core: argument 'k' must be at least 1, got ", k);
  const NeighborArguments<Search> args(points, queries, own, radii);
  Tensor indices = empty_like_device(points, {args.count(), k}, ScalarType::Long);
  Tensor squared_distances = empty_like_device(points, {args.count(), k});
  if (args.count() > 0) {
    args.search().nearest({k, mutable_longs(indices), mutable_floats(squared_distances)});
  }
  return {indices, squared_distances};
}

template <class Search>
std::tuple<Tensor, Tensor, Tensor> neighbors_within(Tensor points, Tensor radii,
                                                    std::optional<Tensor> queries,
                                                    std::optional<Tensor> own) {
  const NeighborArguments<Search> args(points, queries, own, radii);
  if (args.count() == 0) {
    return {zeros_like_device(points, {1}, ScalarType::Long),
            empty_like_device(points, {0}, ScalarType::Long), empty_like_device(points, {0})};
  }
  Tensor offsets = empty_like_device(points, {args.count() + 1}, ScalarType::Long);
  Search search = args.search();
  const int64_t total = search.count_within(mutable_longs(offsets));
  Tensor indices = empty_like_device(points, {total}, ScalarType::Long);
  Tensor squared_distances = empty_like_device(points, {total});
  if (total > 0) {
    search.within({longs(offsets), mutable_longs(indices), mutable_floats(squared_distances)});
  }
  return {offsets, indices, squared_distances};
}

}  // namespace gsplat::ops
