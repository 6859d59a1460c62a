#include "cpu/kmeans.h"

#include <algorithm>
#include <vector>

#include "cpu/parallel.h"

namespace gsplat {

void nearest_centroids(const float* points, int64_t rows, int64_t dim, const float* centroids, int64_t count,
                       int32_t* labels, float* squared_distances) {
  std::vector<float> half_squares(count);
  for (int64_t j = 0; j < count; ++j) half_squares[j] = half_square(centroids + j * dim, dim);
  const NearestCentroids args{
      .points = points,
      .centroids = centroids,
      .half_squares = half_squares.data(),
      .dim = dim,
      .count = count,
      .labels = labels,
      .squared_distances = squared_distances,
  };
  // What a row gets does not depend on the chunk that it is in, only how well the kernel's registers are
  // used.
  constexpr int64_t kRows = 48 * 8;
  parallel_dynamic((rows + kRows - 1) / kRows, [&](int64_t chunk) {
    GSPLAT_CALL(nearest_centroids_rows, args, chunk * kRows, std::min((chunk + 1) * kRows, rows));
  });
}

void cluster_means(const float* points, const int32_t* labels, const float* weights, int64_t rows,
                   int64_t dim, int64_t count, float* means, float* masses) {
  // Rows sorted by cluster (counting sort, stable).
  std::vector<int64_t> begin(count + 1, 0);
  for (int64_t i = 0; i < rows; ++i) ++begin[labels[i] + 1];
  for (int64_t j = 0; j < count; ++j) begin[j + 1] += begin[j];
  std::vector<int32_t> members(rows);
  std::vector<int64_t> next(begin.begin(), begin.end() - 1);
  for (int64_t i = 0; i < rows; ++i) members[next[labels[i]]++] = static_cast<int32_t>(i);

  parallel_for(count, 64, [&](int64_t first, int64_t last) {
    std::vector<double> sums(dim);
    for (int64_t j = first; j < last; ++j) {
      std::fill(sums.begin(), sums.end(), 0.0);
      double mass = 0;
      for (int64_t m = begin[j]; m < begin[j + 1]; ++m) {
        const double weight = weights == nullptr ? 1.0 : weights[members[m]];
        const float* point = points + members[m] * dim;
        for (int64_t d = 0; d < dim; ++d) sums[d] += weight * point[d];
        mass += weight;
      }
      const double scale = mass > 0 ? 1 / mass : 0;
      for (int64_t d = 0; d < dim; ++d) means[j * dim + d] = static_cast<float>(sums[d] * scale);
      masses[j] = static_cast<float>(mass);
    }
  });
}

}  // namespace gsplat
