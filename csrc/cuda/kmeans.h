// The two halves of an iteration of k-means (Lloyd 1982): nearest centroids, and the means of what they own.
#pragma once

#include "cuda/launch.h"
#include "raster/kmeans.h"

namespace gsplat::cuda {

// For each of `rows` points [rows, dim] the nearest of `count` centroids [count, dim], the first of equally
// near ones, and the squared distance to it. Distances are compared in float32, as on the CPU.
size_t nearest_centroids_workspace(int64_t count);
void nearest_centroids(const float* points, int64_t rows, int64_t dim, const float* centroids, int64_t count,
                       int32_t* labels, float* squared_distances, void* workspace, Stream stream);

// A label that is out of range: its row in the upper and the label in the lower 32 bits; kNoLabel if all are
// right. The first one is found. `found` is in device memory.
inline constexpr uint64_t kNoLabel = ~uint64_t{0};
void find_wrong_label(const int32_t* labels, int64_t rows, int64_t count, uint64_t* found, Stream stream);

// For each of `count` clusters the weighted mean of its points [count, dim], zero without weight, and its
// weight [count]. Labels must be in range; null weights stand for ones. Sums are in double, in an order that
// depends on rows, dim and labels only.
size_t cluster_means_workspace(int64_t rows, int64_t count);
void cluster_means(const float* points, const int32_t* labels, const float* weights, int64_t rows,
                   int64_t dim, int64_t count, float* means, float* masses, void* workspace, Stream stream);

}  // namespace gsplat::cuda
