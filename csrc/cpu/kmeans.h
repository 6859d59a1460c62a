// The two halves of an iteration of k-means (Lloyd 1982): nearest centroids, and the means of what they own.
#pragma once

#include <cstdint>

#include "cpu/isa.h"
#include "raster/kmeans.h"

namespace gsplat {

struct NearestCentroids {
  const float* points = nullptr;        // [rows, dim]
  const float* centroids = nullptr;     // [count, dim], 1 <= count <= kMostCentroids
  const float* half_squares = nullptr;  // [count]: half of each centroid's squared length
  int64_t dim = 0;
  int64_t count = 0;
  int32_t* labels = nullptr;           // [rows]; among equally near centroids the first
  float* squared_distances = nullptr;  // [rows]
};

// For each of `rows` points the nearest centroid; fills everything but half_squares by itself.
//
// Distances are compared as |c|^2 / 2 - x.c in float32, so points should lie around the origin; the distance
// to the chosen centroid is then computed directly. The same bytes for any number of threads.
void nearest_centroids(const float* points, int64_t rows, int64_t dim, const float* centroids, int64_t count,
                       int32_t* labels, float* squared_distances);

// For each of `count` clusters the weighted mean of its points [count, dim] and its weight [count]; the mean
// of a cluster without weight is zero. Labels must be in range; null weights stand for ones. Sums are in
// double, in the order of the rows, so they are the same for any number of threads.
void cluster_means(const float* points, const int32_t* labels, const float* weights, int64_t rows,
                   int64_t dim, int64_t count, float* means, float* masses);

}  // namespace gsplat

#define GSPLAT_KMEANS_KERNELS \
  void nearest_centroids_rows(const NearestCentroids& args, int64_t begin, int64_t end);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_KMEANS_KERNELS)
