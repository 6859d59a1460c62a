// Kernels of the CPU backend on numbers of a fixed sequence: prints what they make of them, a number a line.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "../one_thread.h"
#include "cpu/activations.h"
#include "cpu/kmeans.h"

namespace {

uint64_t state = 1;

// From -1 to 1 (Knuth's linear congruential generator).
float number() {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return static_cast<float>(static_cast<int32_t>(state >> 32)) / 2147483648.0f;
}

std::vector<float> numbers(int64_t count, float scale) {
  std::vector<float> values(count);
  for (float& value : values) value = scale * number();
  return values;
}

void print(const std::vector<float>& values) {
  for (float value : values) std::printf("%.9g\n", static_cast<double>(value));
}

}  // namespace

int main() {
  const int64_t rows = 203, dim = 24, count = 37;
  const std::vector<float> points = numbers(rows * dim, 1.0f), centroids = numbers(count * dim, 1.0f);
  std::vector<int32_t> labels(rows);
  std::vector<float> distances(rows);
  gsplat::nearest_centroids(points.data(), rows, dim, centroids.data(), count, labels.data(),
                            distances.data());
  for (int32_t label : labels) std::printf("%d\n", label);
  print(distances);

  const std::vector<float> raw = numbers(1003, 12.0f), gradient = numbers(1003, 1.0f);
  std::vector<float> value(1003), result(1003);
  gsplat::generic::scales_of_logarithms(raw.data(), value.data(), 1003);
  print(value);
  gsplat::generic::opacities_of_logits(raw.data(), value.data(), 1003);
  print(value);
  gsplat::generic::opacities_of_logits_backward(value.data(), gradient.data(), result.data(), 1003);
  print(result);
}
