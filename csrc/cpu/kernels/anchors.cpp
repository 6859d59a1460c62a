// Anchors that networks decode, a block of them at a time, one SIMD lane per anchor.
#include "cpu/anchors.h"

#include <algorithm>

#include "cpu/parallel.h"
#include "cpu/simd/buffer.h"
#include "cpu/simd/layer_products.h"
#include "math/anchors.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// Gradients of the networks are summed up per chunk first, in an order that does not depend on the number of
// threads: of so many visible anchors, or of more where that made more than kMostChunks.
constexpr int64_t kLeastChunk = 8 * kRows;
constexpr int64_t kMostChunks = 64;

// Up to kRows anchors by their numbers, filled up to whole tiles with rows of zeros.
struct Block {
  const int64_t* anchors;
  int count;
  int rows;

  Block(const int64_t* numbers, int64_t left)
      : anchors(numbers), count(static_cast<int>(std::min<int64_t>(left, kRows))) {
    rows = (count + kTileRows - 1) / kTileRows * kTileRows;
  }

  // Their rows of `width` numbers as columns.
  [[gnu::noinline]] void load(const float* from, int width, float* columns) const {
    for (int row = 0; row < rows; row += kLanes) {
      if (count - row < kLanes || width < kLanes) {
        for (int i = row; i < row + kLanes; ++i) {
          const float* const numbers = i < count ? from + anchors[i] * width : nullptr;
          for (int c = 0; c < width; ++c) columns[c * kRows + i] = i < count ? numbers[c] : 0.0f;
        }
        continue;
      }
      each_square(width, [&](int c) {
        Float square[kLanes];
        for (int i = 0; i < kLanes; ++i) square[i] = Float::load(from + anchors[row + i] * width + c);
        transpose(square);
        for (int i = 0; i < kLanes; ++i) square[i].store(columns + (c + i) * kRows + row);
      });
    }
  }

  // The opposite.
  [[gnu::noinline]] void store(const float* columns, int width, float* to) const {
    for (int row = 0; row < count; row += kLanes) {
      if (count - row < kLanes || width < kLanes) {
        for (int i = row; i < std::min(row + kLanes, count); ++i) {
          for (int c = 0; c < width; ++c) to[anchors[i] * width + c] = columns[c * kRows + i];
        }
        continue;
      }
      each_square(width, [&](int c) {
        Float square[kLanes];
        for (int i = 0; i < kLanes; ++i) square[i] = Float::load(columns + (c + i) * kRows + row);
        transpose(square);
        for (int i = 0; i < kLanes; ++i) square[i].store(to + anchors[row + i] * width + c);
      });
    }
  }

private:
  // The last square overlaps the one before, so that nothing beyond the rows is touched.
  template <class Body>
  static void each_square(int width, Body&& body) {
    for (int c = 0; c < width; c += kLanes) body(std::min(c, width - kLanes));
  }
};

Vec3<Float> load3(const float* columns, int row) {
  return {Float::load(columns + row), Float::load(columns + kRows + row),
          Float::load(columns + 2 * kRows + row)};
}
void store3(const Vec3<Float>& v, float* columns, int row) {
  v.x.store(columns + row);
  v.y.store(columns + kRows + row);
  v.z.store(columns + 2 * kRows + row);
}
Quaternion<Float> load4(const float* columns, int row) {
  const Vec3<Float> rest = load3(columns + kRows, row);
  return {Float::load(columns + row), rest.x, rest.y, rest.z};
}
void store4(const Quaternion<Float>& q, float* columns, int row) {
  q.w.store(columns + row);
  store3({q.x, q.y, q.z}, columns + kRows, row);
}
Vec3<Float> spread(const float* v) { return {Float(v[0]), Float(v[1]), Float(v[2])}; }

DecoderFrame<Float> load_frame(const float* m) {
  const Mat3<float> inverse = {{{m[0], m[3], m[6]}, {m[1], m[4], m[7]}, {m[2], m[5], m[8]}}};
  const Quaternion<float> q = quaternion_of(inverse);
  DecoderFrame<Float> frame;
  for (int i = 0; i < 9; ++i) frame.rotation.m[i / 3][i % 3] = Float(m[i]);
  frame.inverse = {Float(q.w), Float(q.x), Float(q.y), Float(q.z)};
  return frame;
}

// The numbers of a block, in columns.
struct Columns {
  int input_width, hidden_width;  // with columns of zeros up to whole vectors
  float *inputs, *hidden[kAnchorNetworks], *encoded[kAnchorNetworks];
  float *positions, *offset_scales, *scales, *offsets;
  // Of the splats, or their gradients.
  float *means, *quats, *linear_scales, *opacities, *colors;
  float *v_inputs, *v_hidden, *v_places;
  float *input_rows, *hidden_rows;  // in rows, see add_outer_products()

  // With the memory given; returns how much of it that takes.
  int64_t place(const DecoderShape& shape, float* memory) {
    input_width = whole_vectors(shape.inputs());
    hidden_width = whole_vectors(shape.hidden);
    int64_t used = 0;
    const auto take = [&](float*& columns, int count) {
      columns = memory == nullptr ? nullptr : memory + used;
      used += static_cast<int64_t>(count) * kRows;
    };
    take(inputs, input_width);
    for (int n = 0; n < kAnchorNetworks; ++n) {
      take(hidden[n], hidden_width);
      take(encoded[n], shape.outputs(n));
    }
    for (float** columns : {&positions, &offset_scales, &scales}) take(*columns, 3);
    for (float** columns : {&offsets, &means, &linear_scales, &colors}) take(*columns, 3 * shape.splats);
    take(quats, 4 * shape.splats);
    take(opacities, shape.splats);
    take(v_inputs, shape.inputs());
    take(v_hidden, shape.hidden);
    take(v_places, 3);
    take(input_rows, input_width);
    take(hidden_rows, hidden_width);
    return used;
  }
};

// Sums over anchors that are the gradients of the networks, of biases still one sum per lane.
struct NetworkSums {
  struct OfNetwork {
    float *hidden_weights, *hidden_biases, *weights, *biases;
  } of[kAnchorNetworks];

  int64_t place(const DecoderShape& shape, float* memory) {
    int64_t used = 0;
    const auto take = [&](float*& sums, int rows, int width) {
      sums = memory == nullptr ? nullptr : memory + used;
      used += static_cast<int64_t>(rows) * width;
    };
    for (int n = 0; n < kAnchorNetworks; ++n) {
      take(of[n].hidden_weights, shape.hidden, whole_vectors(shape.inputs()));
      take(of[n].hidden_biases, shape.hidden, kLanes);
      take(of[n].weights, shape.outputs(n), whole_vectors(shape.hidden));
      take(of[n].biases, shape.outputs(n), kLanes);
    }
    return used;
  }

  void store(const DecoderShape& shape, float* networks) const {
    const auto rows = [](const float* sums, int count, int width, float* to) {
      for (int i = 0; i < count; ++i) std::copy_n(sums + i * whole_vectors(width), width, to + i * width);
    };
    const auto lanes = [](const float* sums, int count, float* to) {
      for (int i = 0; i < count; ++i) to[i] = sum(Float::load(sums + i * kLanes));
    };
    for (int n = 0; n < kAnchorNetworks; ++n) {
      const NetworkPlaces at = shape.places(n);
      rows(of[n].hidden_weights, shape.hidden, shape.inputs(), networks + at.hidden_weights);
      lanes(of[n].hidden_biases, shape.hidden, networks + at.hidden_biases);
      rows(of[n].weights, shape.outputs(n), shape.hidden, networks + at.weights);
      lanes(of[n].biases, shape.outputs(n), networks + at.biases);
    }
  }
};

struct ColumnMemory : Buffer<float> {};
struct SumMemory : Buffer<float> {};

// Decodes blocks of anchors, and goes back from gradients of their splats. One for each thread.
class BlockDecoder {
public:
  explicit BlockDecoder(const AnchorArrays& in)
      : in_(in), shape_(in.shape), frame_(load_frame(in.frame)), centre_(spread(in.centre)) {
    columns_.place(shape_, per_thread<ColumnMemory>().reserve(columns_.place(shape_, nullptr)));
    std::fill_n(columns_.inputs, columns_.input_width * kRows, 0.0f);
    for (float* hidden : columns_.hidden) std::fill_n(hidden, columns_.hidden_width * kRows, 0.0f);
  }

  void decode(const Block& block, const SplatsOfAnchors<float>& out) {
    evaluate(block);
    const Columns& c = columns_;
    for (int row = 0; row < block.rows; row += kLanes) {
      const Anchor<Float> anchor = anchor_at(row);
      for (int k = 0; k < shape_.splats; ++k) {
        const DecodedSplat<Float> splat = decode_splat(frame_, anchor, encoded_at(k, row));
        store3(splat.mean, c.means + 3 * k * kRows, row);
        store4(splat.rotation, c.quats + 4 * k * kRows, row);
        store3(splat.scales, c.linear_scales + 3 * k * kRows, row);
        splat.opacity.store(c.opacities + k * kRows + row);
        store3(splat.color, c.colors + 3 * k * kRows, row);
      }
    }
    const int k = shape_.splats;
    block.store(c.means, 3 * k, out.means);
    block.store(c.quats, 4 * k, out.quats);
    block.store(c.linear_scales, 3 * k, out.scales);
    block.store(c.opacities, k, out.opacities);
    block.store(c.colors, 3 * k, out.colors);
  }

  void go_back(const Block& block, const SplatsOfAnchors<const float>& v_out, const AnchorGradients& v,
               const NetworkSums& sums) {
    evaluate(block);
    const Columns& c = columns_;
    const int k = shape_.splats;
    block.load(v_out.means, 3 * k, c.means);
    block.load(v_out.quats, 4 * k, c.quats);
    block.load(v_out.scales, 3 * k, c.linear_scales);
    block.load(v_out.opacities, k, c.opacities);
    block.load(v_out.colors, 3 * k, c.colors);
    for (int row = 0; row < block.rows; row += kLanes) encoded_gradients(row);
    std::fill_n(c.v_inputs, shape_.inputs() * kRows, 0.0f);
    columns_to_rows(c.inputs, c.input_width, block.rows, c.input_rows);
    for (int n = 0; n < kAnchorNetworks; ++n) network_gradients(n, block.rows, sums.of[n]);
    block.store(c.v_inputs, shape_.features, v.features);
    through_directions(block, v);
    block.store(c.offsets, 3 * k, v.offsets);
    block.store(c.offset_scales, 3, v.offset_scales);
    block.store(c.scales, 3, v.scales);
  }

private:
  // Reads the anchors, and what the networks say of them.
  [[gnu::noinline]] void evaluate(const Block& block) {
    const Columns& c = columns_;
    block.load(in_.positions, 3, c.positions);
    block.load(in_.offset_scales, 3, c.offset_scales);
    block.load(in_.scales, 3, c.scales);
    block.load(in_.offsets, 3 * shape_.splats, c.offsets);
    block.load(in_.features, shape_.features, c.inputs);
    for (int row = 0; row < block.rows; row += kLanes) {
      store3(anchor_direction(frame_, from_camera(row)), c.inputs + shape_.features * kRows, row);
    }
    for (int n = 0; n < kAnchorNetworks; ++n) {
      const NetworkPlaces at = shape_.places(n);
      multiply({in_.networks + at.hidden_weights, shape_.hidden, shape_.inputs(), shape_.inputs(), 1},
               c.inputs, block.rows, in_.networks + at.hidden_biases, kReLU, c.hidden[n]);
      multiply({in_.networks + at.weights, shape_.outputs(n), shape_.hidden, shape_.hidden, 1}, c.hidden[n],
               block.rows, in_.networks + at.biases, kLinear, c.encoded[n]);
    }
  }

  Vec3<Float> from_camera(int row) const { return load3(columns_.positions, row) - centre_; }

  Anchor<Float> anchor_at(int row) const {
    const auto exponentials = [&](const float* columns) {
      const Vec3<Float> x = load3(columns, row);
      return Vec3<Float>{scale_of_logarithm(x.x), scale_of_logarithm(x.y), scale_of_logarithm(x.z)};
    };
    return {load3(columns_.positions, row), exponentials(columns_.offset_scales),
            exponentials(columns_.scales)};
  }

  EncodedSplat<Float> encoded_at(int k, int row) const {
    const Columns& c = columns_;
    const float* const covariance = c.encoded[kCovarianceNetwork] + 7 * k * kRows;
    return {load3(c.offsets + 3 * k * kRows, row), Float::load(c.encoded[kOpacityNetwork] + k * kRows + row),
            load3(c.encoded[kColorNetwork] + 3 * k * kRows, row), load3(covariance, row),
            load4(covariance + 3 * kRows, row)};
  }

  // Puts gradients of offsets, of what networks said, and of what an anchor's splats have in common, into the
  // places of these.
  void encoded_gradients(int row) {
    const Columns& c = columns_;
    const Float zero(0.0f);
    const Anchor<Float> anchor = anchor_at(row);
    Anchor<Float> v_anchor = {{zero, zero, zero}, {zero, zero, zero}, {zero, zero, zero}};
    for (int k = 0; k < shape_.splats; ++k) {
      const DecodedSplat<Float> v_splat = {
          load3(c.means + 3 * k * kRows, row), load4(c.quats + 4 * k * kRows, row),
          load3(c.linear_scales + 3 * k * kRows, row), Float::load(c.opacities + k * kRows + row),
          load3(c.colors + 3 * k * kRows, row)};
      const EncodedSplat<Float> v = decode_splat_vjp(frame_, anchor, encoded_at(k, row), v_splat, v_anchor);
      float* const covariance = c.encoded[kCovarianceNetwork] + 7 * k * kRows;
      store3(v.offset, c.offsets + 3 * k * kRows, row);
      v.opacity.store(c.encoded[kOpacityNetwork] + k * kRows + row);
      store3(v.color, c.encoded[kColorNetwork] + 3 * k * kRows, row);
      store3(v.scales, covariance, row);
      store4(v.rotation, covariance + 3 * kRows, row);
    }
    store3(v_anchor.place, c.v_places, row);
    store3(each_times(v_anchor.steps, anchor.steps), c.offset_scales, row);
    store3(each_times(v_anchor.spans, anchor.spans), c.scales, row);
  }

  // From gradients of what a network said.
  void network_gradients(int n, int rows, const NetworkSums::OfNetwork& sums) {
    const Columns& c = columns_;
    const NetworkPlaces at = shape_.places(n);
    const float *const v_outputs = c.encoded[n], *const hidden = c.hidden[n];
    columns_to_rows(hidden, c.hidden_width, rows, c.hidden_rows);
    add_outer_products(v_outputs, shape_.outputs(n), c.hidden_rows, c.hidden_width, rows, sums.weights);
    add_columns(v_outputs, shape_.outputs(n), rows, sums.biases);
    std::fill_n(c.v_hidden, shape_.hidden * kRows, 0.0f);
    multiply({in_.networks + at.weights, shape_.hidden, shape_.outputs(n), 1, shape_.hidden}, v_outputs, rows,
             nullptr, kLinear, c.v_hidden);
    for (int i = 0; i < shape_.hidden * kRows; i += kLanes) {
      const LaneMask active = Float::load(hidden + i) > Float(0.0f);
      zero_unless(active, Float::load(c.v_hidden + i)).store(c.v_hidden + i);
    }
    add_outer_products(c.v_hidden, shape_.hidden, c.input_rows, c.input_width, rows, sums.hidden_weights);
    add_columns(c.v_hidden, shape_.hidden, rows, sums.hidden_biases);
    multiply({in_.networks + at.hidden_weights, shape_.inputs(), shape_.hidden, 1, shape_.inputs()},
             c.v_hidden, rows, nullptr, kLinear, c.v_inputs);
  }

  // The gradients of positions, of which a part comes through the directions.
  void through_directions(const Block& block, const AnchorGradients& v) {
    const Columns& c = columns_;
    float* const direction = c.v_inputs + shape_.features * kRows;
    for (int row = 0; row < block.rows; row += kLanes) {
      const Vec3<Float> along = anchor_direction_vjp(frame_, from_camera(row), load3(direction, row));
      store3(along, direction, row);
      store3(load3(c.v_places, row) + along, c.v_places, row);
    }
    block.store(c.v_places, 3, v.positions);
    if (v.along != nullptr) block.store(direction, 3, v.along);
  }

  const AnchorArrays& in_;
  const DecoderShape shape_;
  const DecoderFrame<Float> frame_;
  const Vec3<Float> centre_;
  Columns columns_;
};

struct VisibleAnchors : Buffer<int64_t> {};

// The numbers of the visible anchors in their order; returns how many there are.
int64_t list_visible(const uint8_t* visible, int64_t count, int64_t* numbers) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    numbers[found] = i;
    found += visible == nullptr || visible[i] != 0;
  }
  return found;
}

// body(anchor) for all that are not visible.
template <class Body>
void each_hidden(const AnchorArrays& in, int64_t count, Body&& body) {
  if (in.visible == nullptr) return;
  parallel_for(count, kLeastChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (in.visible[i] == 0) body(i);
    }
  });
}

struct ChunkSums : Buffer<float> {};

}  // namespace

void decode_anchors(const AnchorArrays& in, const SplatsOfAnchors<float>& out, int64_t count) {
  const int64_t splats = in.shape.splats;
  each_hidden(in, count, [&](int64_t i) {
    for (int64_t s = i * splats; s < (i + 1) * splats; ++s) {
      std::copy_n(in.positions + 3 * i, 3, out.means + 3 * s);
      out.quats[4 * s] = 1.0f;
      std::fill_n(out.quats + 4 * s + 1, 3, 0.0f);
    }
    std::fill_n(out.scales + 3 * i * splats, 3 * splats, 0.0f);
    std::fill_n(out.opacities + i * splats, splats, 0.0f);
    std::fill_n(out.colors + 3 * i * splats, 3 * splats, 0.0f);
  });
  int64_t* const numbers = per_thread<VisibleAnchors>().reserve(count);
  const int64_t visible = list_visible(in.visible, count, numbers);
  parallel_for((visible + kRows - 1) / kRows, kLeastChunk / kRows, [&](int64_t begin, int64_t end) {
    BlockDecoder decoder(in);
    for (int64_t b = begin; b < end; ++b)
      decoder.decode(Block(numbers + b * kRows, visible - b * kRows), out);
  });
}

void decode_anchors_backward(const AnchorArrays& in, const SplatsOfAnchors<const float>& v_out,
                             const AnchorGradients& v, int64_t count) {
  const int64_t splats = in.shape.splats, features = in.shape.features;
  each_hidden(in, count, [&](int64_t i) {
    for (float* rows : {v.positions, v.offset_scales, v.scales, v.along}) {
      if (rows != nullptr) std::fill_n(rows + 3 * i, 3, 0.0f);
    }
    std::fill_n(v.features + features * i, features, 0.0f);
    std::fill_n(v.offsets + 3 * splats * i, 3 * splats, 0.0f);
  });
  int64_t* const numbers = per_thread<VisibleAnchors>().reserve(count);
  const int64_t visible = list_visible(in.visible, count, numbers), total = in.shape.numbers();
  const int64_t blocks = (visible + kRows - 1) / kRows;
  const int64_t blocks_of_chunk = std::max(kLeastChunk / kRows, (blocks + kMostChunks - 1) / kMostChunks);
  const int64_t chunks = (blocks + blocks_of_chunk - 1) / blocks_of_chunk;
  float* const of_chunks = per_thread<ChunkSums>().reserve(chunks * total);
  parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
    BlockDecoder decoder(in);
    NetworkSums sums;
    const int64_t size = sums.place(in.shape, nullptr);
    float* const memory = per_thread<SumMemory>().reserve(size);
    sums.place(in.shape, memory);
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      std::fill_n(memory, size, 0.0f);
      const int64_t last = std::min(blocks, (chunk + 1) * blocks_of_chunk);
      for (int64_t b = chunk * blocks_of_chunk; b < last; ++b) {
        decoder.go_back(Block(numbers + b * kRows, visible - b * kRows), v_out, v, sums);
      }
      sums.store(in.shape, of_chunks + chunk * total);
    }
  });
  for (int64_t i = 0; i < total; ++i) {
    double sum = 0.0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += of_chunks[chunk * total + i];
    v.networks[i] = static_cast<float>(sum);
  }
}

}  // namespace gsplat::GSPLAT_ISA
