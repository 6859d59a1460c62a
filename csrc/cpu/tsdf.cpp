#include "cpu/tsdf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "cpu/parallel.h"

namespace gsplat {
namespace {

using Vector = std::array<double, 3>;
using Place = std::array<int64_t, 3>;

constexpr int kKeyBits = 21;
// Of an edge that a surface crosses, no vertex lies nearer to its ends than this share of it: triangles keep
// an area.
constexpr double kLeastShare = 1e-3;

bool has_key(const Place& block) {
  return std::all_of(block.begin(), block.end(),
                     [](int64_t b) { return b >= -kBlockReach && b < kBlockReach; });
}

int64_t key_of(const Place& block) {
  return ((block[0] + kBlockReach) << (2 * kKeyBits)) | ((block[1] + kBlockReach) << kKeyBits) |
         (block[2] + kBlockReach);
}

Place block_of(int64_t key) {
  constexpr int64_t kMask = (int64_t{1} << kKeyBits) - 1;
  return {((key >> (2 * kKeyBits)) & kMask) - kBlockReach, ((key >> kKeyBits) & kMask) - kBlockReach,
          (key & kMask) - kBlockReach};
}

void sort_once(std::vector<int64_t>& keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}

// A view, with what is asked of it again and again.
struct Eye {
  const DepthView& view;
  double fx, fy, cx, cy;

  explicit Eye(const DepthView& view_)
      : view(view_), fx(view_.K[0]), fy(view_.K[4]), cx(view_.K[2]), cy(view_.K[5]) {}

  double rotation(int row, int column) const { return view.viewmat[4 * row + column]; }

  Vector in_camera(const Vector& world) const {
    Vector result;
    for (int i = 0; i < 3; ++i) {
      result[i] = rotation(i, 0) * world[0] + rotation(i, 1) * world[1] + rotation(i, 2) * world[2] +
                  view.viewmat[4 * i + 3];
    }
    return result;
  }

  Vector turned_to_world(const Vector& camera) const {
    Vector result;
    for (int i = 0; i < 3; ++i) {
      result[i] = rotation(0, i) * camera[0] + rotation(1, i) * camera[1] + rotation(2, i) * camera[2];
    }
    return result;
  }

  Vector center() const { return turned_to_world({-view.viewmat[3], -view.viewmat[7], -view.viewmat[11]}); }

  bool is_known(int64_t pixel) const {
    const float depth = view.depths[pixel];
    return view.weights[pixel] > 0 && depth > 0 && std::isfinite(depth);
  }

  // Whether a ball, in camera coordinates, reaches into the pyramid of the image.
  bool may_see(const Vector& ball, double radius) const {
    const double right = static_cast<double>(view.width) - cx, bottom = static_cast<double>(view.height) - cy;
    const auto before = [&](double focal, double side, double to_side) {
      return focal * side + to_side * ball[2] >= -radius * std::hypot(focal, to_side);
    };
    return ball[2] > -radius && before(fx, ball[0], cx) && before(fx, -ball[0], right) &&
           before(fy, ball[1], cy) && before(fy, -ball[1], bottom);
  }
};

// Appends the keys of the blocks that a segment crosses, in coordinates whose unit is a block (Amanatides and
// Woo 1987).
void walk(const Vector& from, const Vector& to, std::vector<int64_t>& keys) {
  Place block, step;
  Vector next, apart;
  int64_t left = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const double length = to[axis] - from[axis];
    block[axis] = static_cast<int64_t>(std::floor(from[axis]));
    left += std::abs(static_cast<int64_t>(std::floor(to[axis])) - block[axis]);
    step[axis] = length < 0 ? -1 : 1;
    apart[axis] = length == 0 ? std::numeric_limits<double>::infinity() : 1 / std::abs(length);
    const double border = static_cast<double>(block[axis] + (length < 0 ? 0 : 1));
    next[axis] = length == 0 ? apart[axis] : (border - from[axis]) / length;
  }
  for (;; --left) {
    if (has_key(block)) keys.push_back(key_of(block));
    if (left == 0) return;
    const int axis = static_cast<int>(std::min_element(next.begin(), next.end()) - next.begin());
    block[axis] += step[axis];
    next[axis] += apart[axis];
  }
}

void blocks_of_row(const Eye& eye, const VoxelGrid& grid, int64_t y, std::vector<int64_t>& keys) {
  const Vector center = eye.center();
  // A block reaches half a voxel beyond its voxels: a place belongs to the block of the nearest one.
  const double block_side = kBlockSide * grid.side, shift = 0.5 / kBlockSide;
  for (int64_t x = 0; x < eye.view.width; ++x) {
    const int64_t pixel = y * eye.view.width + x;
    if (!eye.is_known(pixel)) continue;
    const Vector ray = {(static_cast<double>(x) + 0.5 - eye.cx) / eye.fx,
                        (static_cast<double>(y) + 0.5 - eye.cy) / eye.fy, 1.0};
    const double length = std::hypot(ray[0], ray[1], ray[2]);
    const Vector along = eye.turned_to_world(ray);
    const double depth = eye.view.depths[pixel], reach = grid.truncation / length;
    Vector ends[2];
    for (int axis = 0; axis < 3; ++axis) {
      ends[0][axis] = (center[axis] + along[axis] * std::max(depth - reach, 0.0)) / block_side + shift;
      ends[1][axis] = (center[axis] + along[axis] * (depth + reach)) / block_side + shift;
    }
    const auto is_far = [](double place) { return std::abs(place) > 2.0 * static_cast<double>(kBlockReach); };
    if (std::any_of(ends[0].begin(), ends[0].end(), is_far)) continue;
    if (std::any_of(ends[1].begin(), ends[1].end(), is_far)) continue;
    walk(ends[0], ends[1], keys);
  }
  sort_once(keys);
}

// What a view shows at a place of its image.
struct Sample {
  float weight = 0;  // 0: nothing
  float depth = 0;
  float color[3] = {0, 0, 0};
};

// Between the four pixels around a place; but the pixel there alone where one of the four knows nothing, or
// they are of different surfaces. It is the inverse depth that is linear over the image of a plane.
Sample sample_at(const Eye& eye, const float* colors, double u, double v, double apart) {
  const DepthView& view = eye.view;
  const auto x = static_cast<int64_t>(std::floor(u - 0.5)), y = static_cast<int64_t>(std::floor(v - 0.5));
  if (x >= 0 && y >= 0 && x + 1 < view.width && y + 1 < view.height) {
    const int64_t first = y * view.width + x;
    const int64_t pixels[4] = {first, first + 1, first + view.width, first + view.width + 1};
    bool known = true;
    float nearest = std::numeric_limits<float>::infinity(), farthest = 0;
    for (const int64_t pixel : pixels) {
      known = known && eye.is_known(pixel);
      nearest = std::min(nearest, view.depths[pixel]);
      farthest = std::max(farthest, view.depths[pixel]);
    }
    if (known && farthest - nearest < apart) {
      const auto right = static_cast<float>(u - 0.5 - static_cast<double>(x));
      const auto down = static_cast<float>(v - 0.5 - static_cast<double>(y));
      const float shares[4] = {(1 - right) * (1 - down), right * (1 - down), (1 - right) * down,
                               right * down};
      Sample sample;
      float inverse = 0;
      for (int i = 0; i < 4; ++i) {
        sample.weight += shares[i] * view.weights[pixels[i]];
        inverse += shares[i] / view.depths[pixels[i]];
        for (int c = 0; c < 3; ++c) sample.color[c] += shares[i] * colors[3 * pixels[i] + c];
      }
      sample.depth = 1 / inverse;
      return sample;
    }
  }
  const auto column = static_cast<int64_t>(std::floor(u)), row = static_cast<int64_t>(std::floor(v));
  if (column < 0 || row < 0 || column >= view.width || row >= view.height) return {};
  const int64_t pixel = row * view.width + column;
  if (!eye.is_known(pixel)) return {};
  return {view.weights[pixel],
          view.depths[pixel],
          {colors[3 * pixel], colors[3 * pixel + 1], colors[3 * pixel + 2]}};
}

void integrate_voxel(const Eye& eye, const float* colors, const VoxelGrid& grid, const Vector& place,
                     float* voxel) {
  if (!(place[2] > 0)) return;
  const double x = place[0] / place[2], y = place[1] / place[2];
  const double u = eye.fx * x + eye.cx, v = eye.fy * y + eye.cy;
  if (!(u >= 0 && v >= 0 && u < static_cast<double>(eye.view.width) &&
        v < static_cast<double>(eye.view.height))) {
    return;
  }
  const Sample sample = sample_at(eye, colors, u, v, grid.truncation);
  if (!(sample.weight > 0)) return;
  // Along the ray, not along the axis: so the same place is equally far for views from all sides.
  const double along = (sample.depth - place[2]) * std::sqrt(1 + x * x + y * y) / grid.truncation;
  if (along < -1) return;
  const auto distance = static_cast<float>(std::min(along, 1.0));
  voxel[1] += sample.weight;
  voxel[0] += (distance - voxel[0]) * sample.weight / voxel[1];
  const float weight = sample.weight * (1 - std::abs(distance));
  if (!(weight > 0)) return;
  voxel[5] += weight;
  for (int c = 0; c < 3; ++c) voxel[2 + c] += (sample.color[c] - voxel[2 + c]) * weight / voxel[5];
}

void integrate_block(const Eye& eye, const float* colors, const VoxelGrid& grid, const Place& block,
                     float* voxels) {
  Vector corner, middle;
  for (int axis = 0; axis < 3; ++axis) {
    corner[axis] = static_cast<double>(block[axis] * kBlockSide) * grid.side;
    middle[axis] = corner[axis] + 0.5 * (kBlockSide - 1) * grid.side;
  }
  if (!eye.may_see(eye.in_camera(middle), 0.5 * (kBlockSide - 1) * grid.side * std::sqrt(3.0))) return;
  const Vector first = eye.in_camera(corner);
  for (int k = 0; k < kBlockSide; ++k) {
    for (int j = 0; j < kBlockSide; ++j) {
      for (int i = 0; i < kBlockSide; ++i, voxels += kVoxelValues) {
        Vector place;
        for (int row = 0; row < 3; ++row) {
          place[row] = first[row] + grid.side * (i * eye.rotation(row, 0) + j * eye.rotation(row, 1) +
                                                 k * eye.rotation(row, 2));
        }
        integrate_voxel(eye, colors, grid, place, voxels);
      }
    }
  }
}

// Edges of Kuhn's tetrahedra lead from a voxel along the sum of one, two or three axes: seven directions,
// whose bits are x, y and z. Which of a block's voxels have an edge with a vertex, and how these are
// numbered:
struct Crossings {
  static constexpr int kDirections = 7;
  static constexpr int kWords = kBlockVoxels * kDirections / 64;
  std::array<uint64_t, kWords> bits{};
  std::array<uint16_t, kWords> before{};
  int32_t first = 0;

  static int slot(int voxel, int direction) { return kDirections * voxel + direction - 1; }

  void set(int slot) { bits[slot / 64] |= uint64_t{1} << (slot % 64); }

  bool has(int slot) const { return (bits[slot / 64] >> (slot % 64)) & 1; }

  // Counts what was set.
  int32_t number() {
    int32_t count = 0;
    for (int word = 0; word < kWords; ++word) {
      before[word] = static_cast<uint16_t>(count);
      count += std::popcount(bits[word]);
    }
    return count;
  }

  int32_t vertex(int slot) const {
    const uint64_t lower = bits[slot / 64] & ((uint64_t{1} << (slot % 64)) - 1);
    return first + before[slot / 64] + std::popcount(lower);
  }
};

// A block and those after it along x, y and z (bits 1, 2, 4 of the index); -1 where there is none.
using Neighbors = std::array<int64_t, 8>;

class Blocks {
public:
  Blocks(const float* voxels, const int64_t* keys, int64_t count, float least_weight)
      : voxels_(voxels), keys_(keys), count_(count), least_weight_(least_weight) {}

  Neighbors around(int64_t index) const {
    Neighbors found;
    const Place block = block_of(keys_[index]);
    for (int corner = 0; corner < 8; ++corner) {
      const Place other = {block[0] + (corner & 1), block[1] + ((corner >> 1) & 1), block[2] + (corner >> 2)};
      found[corner] = has_key(other) ? find(key_of(other)) : -1;
    }
    return found;
  }

  // The block among the neighbours, and the voxel in it, at a place from 0 to 8 along each axis.
  static std::pair<int, int> at(int i, int j, int k) {
    const int corner = (i / kBlockSide) | (j / kBlockSide) << 1 | (k / kBlockSide) << 2;
    const int voxel = i % kBlockSide + kBlockSide * (j % kBlockSide + kBlockSide * (k % kBlockSide));
    return {corner, voxel};
  }

  // The six values, or null where nothing is known.
  const float* voxel(const Neighbors& around, int i, int j, int k) const {
    const auto [corner, voxel] = at(i, j, k);
    if (around[corner] < 0) return nullptr;
    const float* values = voxels_ + (around[corner] * kBlockVoxels + voxel) * kVoxelValues;
    return values[1] > 0 && values[1] >= least_weight_ ? values : nullptr;
  }

  Place block(int64_t index) const { return block_of(keys_[index]); }

  int64_t count() const { return count_; }

private:
  int64_t find(int64_t key) const {
    const int64_t* found = std::lower_bound(keys_, keys_ + count_, key);
    return found != keys_ + count_ && *found == key ? found - keys_ : -1;
  }

  const float* voxels_;
  const int64_t* keys_;
  int64_t count_;
  float least_weight_;
};

// body(i, j, k, voxel) for the voxels of a block.
template <class Body>
void for_each_voxel(Body&& body) {
  int voxel = 0;
  for (int k = 0; k < kBlockSide; ++k) {
    for (int j = 0; j < kBlockSide; ++j) {
      for (int i = 0; i < kBlockSide; ++i) body(i, j, k, voxel++);
    }
  }
}

bool is_behind(const float* voxel) { return voxel[0] < 0; }

// body(slot, from, to, i, j, k, direction) for the edges of a block's voxels that lead through the surface.
template <class Body>
void for_each_crossing(const Blocks& blocks, const Neighbors& around, Body&& body) {
  for_each_voxel([&](int i, int j, int k, int voxel) {
    const float* from = blocks.voxel(around, i, j, k);
    if (from == nullptr) return;
    for (int direction = 1; direction < 8; ++direction) {
      const float* to =
          blocks.voxel(around, i + (direction & 1), j + ((direction >> 1) & 1), k + (direction >> 2));
      if (to == nullptr || is_behind(from) == is_behind(to)) continue;
      body(Crossings::slot(voxel, direction), from, to, Place{i, j, k}, direction);
    }
  });
}

void write_vertices(const Blocks& blocks, const Neighbors& around, int64_t index, const Crossings& crossings,
                    double side, ColoredMesh& mesh) {
  const Place block = blocks.block(index);
  for_each_crossing(
      blocks, around, [&](int slot, const float* from, const float* to, const Place& place, int direction) {
        const double a = from[0], b = to[0];
        const double share = std::clamp(a / (a - b), kLeastShare, 1 - kLeastShare);
        const int64_t row = 3 * static_cast<int64_t>(crossings.vertex(slot));
        for (int axis = 0; axis < 3; ++axis) {
          const auto lattice = static_cast<double>(kBlockSide * block[axis] + place[axis]);
          const double along = (direction >> axis) & 1 ? share : 0;
          mesh.vertices[row + axis] = static_cast<float>(side * (lattice + along));
        }
        const double near = (1 - share) * from[5], far = share * to[5];
        if (!(near + far > 0)) return;
        for (int c = 0; c < 3; ++c) {
          mesh.colors[row + c] = static_cast<float>((near * from[2 + c] + far * to[2 + c]) / (near + far));
        }
      });
}

// The corners of a cell's six tetrahedra, as bits x, y, z: from 0 to 7 along one axis after the other. Odd
// orders of the axes make tetrahedra of the other handedness.
struct Tetrahedron {
  int corners[4];
  bool mirrored;
};
constexpr Tetrahedron kTetrahedra[6] = {
    {{0, 1, 3, 7}, false}, {{0, 2, 6, 7}, false}, {{0, 4, 5, 7}, false},
    {{0, 1, 5, 7}, true},  {{0, 2, 3, 7}, true},  {{0, 4, 6, 7}, true},
};

// For one corner, then for a pair of corners: all four in an order that keeps the handedness.
constexpr int kOneFirst[4][4] = {{0, 1, 2, 3}, {1, 0, 3, 2}, {2, 0, 1, 3}, {3, 0, 2, 1}};
constexpr int kPairFirst[6][4] = {{0, 1, 2, 3}, {0, 2, 3, 1}, {0, 3, 1, 2},
                                  {1, 2, 0, 3}, {1, 3, 2, 0}, {2, 3, 0, 1}};

// Calls triangle(edges) with three pairs of corners for each triangle in a tetrahedron, given which of its
// corners are behind the surface.
template <class Triangle>
void march(unsigned behind, bool mirrored, Triangle&& triangle) {
  const auto emit = [&](const int (&a)[2], const int (&b)[2], const int (&c)[2], bool turned) {
    if (turned != mirrored) {
      triangle(a, c, b);
    } else {
      triangle(a, b, c);
    }
  };
  const int count = std::popcount(behind);
  if (count == 1 || count == 3) {
    const int* order = kOneFirst[std::countr_zero(count == 1 ? behind : ~behind & 15u)];
    emit({order[0], order[1]}, {order[0], order[2]}, {order[0], order[3]}, count == 3);
  } else if (count == 2) {
    for (const auto& order : kPairFirst) {
      if (behind != ((1u << order[0]) | (1u << order[1]))) continue;
      emit({order[0], order[2]}, {order[0], order[3]}, {order[1], order[3]}, false);
      emit({order[0], order[2]}, {order[1], order[3]}, {order[1], order[2]}, false);
    }
  }
}

void append_faces(const Blocks& blocks, const Neighbors& around, const std::vector<Crossings>& crossings,
                  std::vector<int32_t>& faces) {
  for_each_voxel([&](int i, int j, int k, int) {
    const float* values[8];
    for (int corner = 0; corner < 8; ++corner) {
      values[corner] = blocks.voxel(around, i + (corner & 1), j + ((corner >> 1) & 1), k + (corner >> 2));
    }
    for (const Tetrahedron& tetrahedron : kTetrahedra) {
      unsigned behind = 0;
      bool known = true;
      for (int c = 0; c < 4 && known; ++c) {
        const float* value = values[tetrahedron.corners[c]];
        known = value != nullptr;
        if (known && is_behind(value)) behind |= 1u << c;
      }
      if (!known) continue;
      // Corners ascend along a tetrahedron's path, so the lower one owns the edge.
      const auto vertex = [&](const int (&edge)[2]) {
        const int a = tetrahedron.corners[std::min(edge[0], edge[1])];
        const int b = tetrahedron.corners[std::max(edge[0], edge[1])];
        const auto [corner, voxel] = Blocks::at(i + (a & 1), j + ((a >> 1) & 1), k + (a >> 2));
        return crossings[around[corner]].vertex(Crossings::slot(voxel, b - a));
      };
      march(behind, tetrahedron.mirrored, [&](const int (&a)[2], const int (&b)[2], const int (&c)[2]) {
        faces.insert(faces.end(), {vertex(a), vertex(b), vertex(c)});
      });
    }
  });
}

// An edge may lead through the surface where each tetrahedron around it lacks a voxel.
void drop_unused_vertices(ColoredMesh& mesh) {
  std::vector<int32_t> renumbered(mesh.vertices.size() / 3, -1);
  for (const int32_t vertex : mesh.faces) renumbered[vertex] = 0;
  int32_t kept = 0;
  for (size_t vertex = 0; vertex < renumbered.size(); ++vertex) {
    if (renumbered[vertex] < 0) continue;
    for (size_t i = 0; i < 3; ++i) {
      mesh.vertices[3 * static_cast<size_t>(kept) + i] = mesh.vertices[3 * vertex + i];
      mesh.colors[3 * static_cast<size_t>(kept) + i] = mesh.colors[3 * vertex + i];
    }
    renumbered[vertex] = kept++;
  }
  for (int32_t& vertex : mesh.faces) vertex = renumbered[vertex];
  mesh.vertices.resize(3 * static_cast<size_t>(kept));
  mesh.colors.resize(3 * static_cast<size_t>(kept));
}

}  // namespace

std::vector<int64_t> blocks_near_surfaces(const DepthView& view, const VoxelGrid& grid) {
  const Eye eye(view);
  std::vector<std::vector<int64_t>> rows(static_cast<size_t>(view.height));
  parallel_dynamic(view.height, [&](int64_t y) { blocks_of_row(eye, grid, y, rows[y]); });
  std::vector<int64_t> keys;
  for (const auto& row : rows) keys.insert(keys.end(), row.begin(), row.end());
  sort_once(keys);
  return keys;
}

void integrate_view(const DepthView& view, const float* colors, const VoxelGrid& grid, const int64_t* keys,
                    int64_t blocks, float* voxels) {
  const Eye eye(view);
  constexpr int64_t kGrain = 16;
  parallel_dynamic((blocks + kGrain - 1) / kGrain, [&](int64_t chunk) {
    const int64_t end = std::min(blocks, kGrain * (chunk + 1));
    for (int64_t index = kGrain * chunk; index < end; ++index) {
      integrate_block(eye, colors, grid, block_of(keys[index]), voxels + index * kBlockVoxels * kVoxelValues);
    }
  });
}

ColoredMesh mesh_of_zeros(const float* voxels, const int64_t* keys, int64_t count, double side,
                          double least_weight) {
  const Blocks blocks(voxels, keys, count, static_cast<float>(least_weight));
  std::vector<Crossings> crossings(static_cast<size_t>(count));
  std::vector<int32_t> counts(static_cast<size_t>(count));
  parallel_dynamic(count, [&](int64_t index) {
    for_each_crossing(blocks, blocks.around(index), [&](int slot, auto&&...) { crossings[index].set(slot); });
    counts[index] = crossings[index].number();
  });
  int64_t vertices = 0;
  for (int64_t index = 0; index < count; ++index) {
    crossings[index].first = static_cast<int32_t>(vertices);
    vertices += counts[index];
  }
  ColoredMesh mesh;
  mesh.vertices.resize(3 * static_cast<size_t>(vertices));
  mesh.colors.resize(3 * static_cast<size_t>(vertices));
  std::vector<std::vector<int32_t>> faces(static_cast<size_t>(count));
  parallel_dynamic(count, [&](int64_t index) {
    const Neighbors around = blocks.around(index);
    write_vertices(blocks, around, index, crossings[index], side, mesh);
    append_faces(blocks, around, crossings, faces[index]);
  });
  for (auto& of_block : faces) {
    mesh.faces.insert(mesh.faces.end(), of_block.begin(), of_block.end());
    std::vector<int32_t>().swap(of_block);
  }
  drop_unused_vertices(mesh);
  return mesh;
}

}  // namespace gsplat
