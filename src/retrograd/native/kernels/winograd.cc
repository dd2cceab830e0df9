// Convolution by 3 x 3 kernels without stride or dilation, by minimal filtering (Winograd 1980; Lavin & Gray 2016,
// arXiv:1509.09308, section 4.1). Outputs are computed in tiles of 2 x 2. Sums and differences of the 4 x 4 inputs that
// a tile covers are multiplied by sums and differences of the kernel, 16 products instead of 36:
//     y = Aᵀ (G w Gᵀ ⊙ Bᵀ x B) A,        dw = Gᵀ (Bᵀ x B ⊙ A dy Aᵀ) G
// Summed over channels (or tiles) these are 16 matrix products, one for each position in a transformed tile.
//
// An input that is not finite would affect all outputs of its tile, and an intermediate sum may overflow where the
// convolution does not. In both cases some result is not finite, because each of the 16 products is part of one. So the
// results are checked, and if one is not finite these functions return false, as for shapes that do not suit them, and
// the direct sums are computed instead.
#include "product.h"

namespace retrograd {
namespace VARIANT {
namespace {

constexpr int SIDE = 4, POSITIONS = SIDE * SIDE;
constexpr Index TILES_FLOATS = 64 * 1024;              // a task's transformed tiles, in the L2 cache
constexpr Index GRADIENT_FLOATS = 256 * 1024;          // the sums for the weights, which must fit beside them
constexpr Index TASKS_PER_THREAD = 4;

bool fits(const Convolution &c) {
  return c.kernel_height == 3 && c.kernel_width == 3 && c.stride_height == 1 && c.stride_width == 1 &&
         c.dilation_height == 1 && c.dilation_width == 1 && c.groups == 1 && c.channels % LANES == 0 &&
         c.filters % LANES == 0 && c.out_height > 1 && c.out_width > 1;
}

// The tiles of all images, one after the other; the last of a row or column may extend beyond the image.
struct Tiles {
  Index down, across, count;
  explicit Tiles(const Convolution &c)
      : down(ceil_div(c.out_height, 2)), across(ceil_div(c.out_width, 2)), count(c.batch * down * across) {}
  Index image(Index tile) const { return tile / (down * across); }
  Index row(Index tile) const { return tile / across % down * 2; }  // of the tile's first output
  Index column(Index tile) const { return tile % across * 2; }
};

struct Images {
  const float *at;
  Index height, width, channels;
  const float *zeros;  // one pixel
};

// The pixels of a square in an image, zeros outside the image.
template <int N> struct Square {
  const float *pixel[N][N];
  Square(const Images &from, Index image, Index row, Index column) {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        Index r = row + i, c = column + j;
        bool inside = r >= 0 && r < from.height && c >= 0 && c < from.width;
        pixel[i][j] = inside ? from.at + ((image * from.height + r) * from.width + c) * from.channels : from.zeros;
      }
  }
};

// The products of Bᵀ, G and A with a vector.
struct Four {
  Vector a, b, c, d;
};
INLINE Four times_bt(Vector a, Vector b, Vector c, Vector d) { return {a - c, b + c, c - b, b - d}; }
INLINE Four times_g(Vector a, Vector b, Vector c) {
  Vector outer = (a + c) * 0.5f, inner = b * 0.5f;
  return {a, outer + inner, outer - inner, c};
}
INLINE Four times_a(Vector a, Vector b) { return {a, a + b, a - b, -b}; }

// to[position][k] = Bᵀ x B
INLINE void transform_inputs(const Square<SIDE> &x, Index channels, float *to, Index plane) {
  for (Index k = 0; k < channels; k += LANES) {
    Four rows[SIDE];
#pragma GCC unroll 4
    for (int i = 0; i < SIDE; i++) {
      const float *const *p = x.pixel[i];
      rows[i] = times_bt(load(p[0] + k), load(p[1] + k), load(p[2] + k), load(p[3] + k));
    }
    auto put_column = [&](int column, Four f) {
      float *at = to + column * plane + k;
      store(at, f.a), store(at + 4 * plane, f.b), store(at + 8 * plane, f.c), store(at + 12 * plane, f.d);
    };
    put_column(0, times_bt(rows[0].a, rows[1].a, rows[2].a, rows[3].a));
    put_column(1, times_bt(rows[0].b, rows[1].b, rows[2].b, rows[3].b));
    put_column(2, times_bt(rows[0].c, rows[1].c, rows[2].c, rows[3].c));
    put_column(3, times_bt(rows[0].d, rows[1].d, rows[2].d, rows[3].d));
  }
}

// to[position] = A dy Aᵀ, for one vector of filters
INLINE void transform_deltas(const Square<2> &dy, Index filter, float *to, Index plane) {
  Four first = times_a(load(dy.pixel[0][0] + filter), load(dy.pixel[1][0] + filter));
  Four second = times_a(load(dy.pixel[0][1] + filter), load(dy.pixel[1][1] + filter));
  auto put_row = [&](int row, Four f) {
    float *at = to + 4 * row * plane;
    store(at, f.a), store(at + plane, f.b), store(at + 2 * plane, f.c), store(at + 3 * plane, f.d);
  };
  put_row(0, times_a(first.a, second.a)), put_row(1, times_a(first.b, second.b));
  put_row(2, times_a(first.c, second.c)), put_row(3, times_a(first.d, second.d));
}

// G w Gᵀ, packed [block of filters][position][channel][lane]
void transform_weights(const Pool &pool, const Convolution &c, const Taps &w, float *packed) {
  auto vector_of = [&](Index tap, Index k, Index filter) {
    const float *from = w.at + tap * w.tap_stride + k * w.channel_stride + filter * w.filter_stride;
    if (w.filter_stride == 1) return load(from);
    float lanes[LANES];
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = from[lane * w.filter_stride];
    return load(lanes);
  };
  parallel(pool, blocks(c.filters), [&](Index q) {
    Block columns = block(c.filters, q);
    float *to = packed + columns.start * POSITIONS * c.channels;
    Index plane = c.channels * columns.width;
    for (Index k = 0; k < c.channels; k++)
      for (Index lane = 0; lane < columns.width; lane += LANES) {
        Four column[3];
        for (int j = 0; j < 3; j++) {
          Index filter = columns.start + lane;
          column[j] = times_g(vector_of(j, k, filter), vector_of(3 + j, k, filter), vector_of(6 + j, k, filter));
        }
        auto put_row = [&](int row, Four f) {
          float *at = to + 4 * row * plane + k * columns.width + lane;
          store(at, f.a), store(at + plane, f.b), store(at + 2 * plane, f.c), store(at + 3 * plane, f.d);
        };
        put_row(0, times_g(column[0].a, column[1].a, column[2].a));
        put_row(1, times_g(column[0].b, column[1].b, column[2].b));
        put_row(2, times_g(column[0].c, column[1].c, column[2].c));
        put_row(3, times_g(column[0].d, column[1].d, column[2].d));
      }
  });
}

// y = Aᵀ m A for a tile and one vector of filters, as far as there are outputs, then the epilogue. Returns 0, or NaN if
// some sum is not finite, which the epilogue could hide.
INLINE Vector transform_outputs(const float *m, Index plane, const Epilogue &epilogue, float *y, Index row, Index pixel,
                                bool below, bool right) {
  Vector upper[SIDE], lower[SIDE];
#pragma GCC unroll 4
  for (int j = 0; j < SIDE; j++) {
    const float *at = m + j * plane;
    Vector a = load(at), b = load(at + 4 * plane), c = load(at + 8 * plane), d = load(at + 12 * plane);
    upper[j] = a + b + c, lower[j] = b - c - d;
  }
  Vector first = upper[0] + upper[1] + upper[2], second = upper[1] - upper[2] - upper[3];
  Vector third = lower[0] + lower[1] + lower[2], fourth = lower[1] - lower[2] - lower[3];
  Vector bias = epilogue.bias ? load(epilogue.bias) : Vector{};
  auto put = [&](Index offset, Vector sum) {
    if (epilogue.bias) sum += bias;
    if (epilogue.residual) sum += load(epilogue.residual + offset);
    store(y + offset, epilogue.relu ? positive(sum) : sum);
  };
  put(0, first);
  if (right) put(pixel, second);
  if (below) put(row, third);
  if (below && right) put(row + pixel, fourth);
  return (first + second + third + fourth) * 0.0f;
}

bool is_zero(Vector v) {
  float sum = 0;
  for (int lane = 0; lane < LANES; lane++) sum += v[lane];
  return sum == 0;
}

Index tiles_per_task(Index all, Index floats) { return max(ROWS, min(all, TILES_FLOATS / (POSITIONS * floats))); }

}  // namespace

bool winograd(const Pool &pool, const Convolution &c, const float *x, const Taps &w, const Epilogue &epilogue,
              float *y) {
  if (!fits(c)) return false;
  Tiles tiles(c);
  Index in = c.channels, out = c.filters;
  Parts parts(tiles.count, tiles_per_task(ceil_div(tiles.count, pool.threads * TASKS_PER_THREAD), in));
  // Planes are one cache line further apart than needed: otherwise all 16 would compete for a few sets of the L1 cache.
  Index max_tiles = ceil_div(tiles.count, parts.count);
  Index plane = max_tiles * in + LANES, sums_plane = max_tiles * WIDE + LANES;
  float *weights = scratch(SHARED, POSITIONS * in * out), *zeros = scratch(SHARED_2, in);
  if (!weights || !zeros) return false;
  clear(zeros, in);
  transform_weights(pool, c, w, weights);
  Images images = {x, c.height, c.width, in, zeros};
  bool usable = true;
  parallel(pool, parts.count, [&](Index task) {
    float *inputs = scratch(TASK, POSITIONS * plane), *sums = scratch(TASK_2, POSITIONS * sums_plane);
    if (!inputs || !sums) {
      __atomic_store_n(&usable, false, __ATOMIC_RELAXED);
      return;
    }
    Index begin = parts.begin(task), count = parts.begin(task + 1) - begin;
    for (Index t = 0; t < count; t++) {
      Index tile = begin + t;
      Square<SIDE> square(images, tiles.image(tile), tiles.row(tile) - c.pad_top, tiles.column(tile) - c.pad_left);
      transform_inputs(square, in, inputs + t * in, plane);
    }
    Parts rows(count, ROWS);
    Vector check = {};
    for (Index q = 0; q < blocks(out); q++) {
      Block columns = block(out, q);
      const float *b = weights + columns.start * POSITIONS * in;
      for (Index p = 0; p < POSITIONS; p++, b += in * columns.width)
        for (Index r = 0; r < rows.count; r++)
          product_tile<false>(rows.begin(r + 1) - rows.begin(r), columns.width)(
              inputs + p * plane + rows.begin(r) * in, in, b, in,
              sums + p * sums_plane + rows.begin(r) * columns.width, columns.width);
      for (Index t = 0; t < count; t++) {
        Index tile = begin + t, i = tiles.row(tile), j = tiles.column(tile);
        Index to = ((tiles.image(tile) * c.out_height + i) * c.out_width + j) * out;
        for (Index filter = columns.start; filter < columns.start + columns.width; filter += LANES)
          check += transform_outputs(sums + t * columns.width + filter - columns.start, sums_plane,
                                     epilogue.at(filter, to + filter), y + to + filter, c.out_width * out, out,
                                     i + 1 < c.out_height, j + 1 < c.out_width);
      }
    }
    if (!is_zero(check)) __atomic_store_n(&usable, false, __ATOMIC_RELAXED);
  });
  return usable;
}

// As in the direct sums, each thread accumulates a fixed share of the tiles, and the shares are added in a fixed order.
bool winograd_weight_gradient(const Pool &pool, const Convolution &c, const float *x, const float *dy, float *dweight) {
  Index in = c.channels, out = c.filters, sum_floats = POSITIONS * in * out;
  if (!fits(c) || sum_floats > GRADIENT_FLOATS) return false;
  Tiles tiles(c);
  Index shares = max(1, min(pool.threads, tiles.count / ROWS));
  Index max_tiles = tiles_per_task(ceil_div(tiles.count, shares), in + out);
  Index plane = max_tiles * in + LANES, deltas_plane = max_tiles * out + LANES;
  float *sums = scratch(SHARED, shares * sum_floats), *zeros = scratch(SHARED_2, max(in, out));
  if (!sums || !zeros) return false;
  clear(zeros, max(in, out));
  Images images = {x, c.height, c.width, in, zeros}, dy_images = {dy, c.out_height, c.out_width, out, zeros};
  bool usable = true;
  parallel(pool, shares, [&](Index share) {
    float *inputs = scratch(TASK, POSITIONS * plane), *deltas = scratch(TASK_2, POSITIONS * deltas_plane);
    float *sum = sums + share * sum_floats;
    if (!inputs || !deltas) {
      __atomic_store_n(&usable, false, __ATOMIC_RELAXED);
      return;
    }
    clear(sum, sum_floats);
    Index first = tiles.count * share / shares, last = tiles.count * (share + 1) / shares;
    Parts parts(last - first, max_tiles), rows(in, ROWS);
    for (Index part = 0; part < parts.count; part++) {
      Index begin = first + parts.begin(part), count = first + parts.begin(part + 1) - begin;
      for (Index t = 0; t < count; t++) {
        Index tile = begin + t, image = tiles.image(tile), i = tiles.row(tile), j = tiles.column(tile);
        transform_inputs({images, image, i - c.pad_top, j - c.pad_left}, in, inputs + t * in, plane);
        Square<2> square(dy_images, image, i, j);
        for (Index q = 0; q < blocks(out); q++) {
          Block columns = block(out, q);
          float *to = deltas + columns.start * max_tiles + t * columns.width;
          for (Index lane = 0; lane < columns.width; lane += LANES)
            transform_deltas(square, columns.start + lane, to + lane, deltas_plane);
        }
      }
      for (Index p = 0; p < POSITIONS; p++)
        for (Index q = 0; q < blocks(out); q++) {
          Block columns = block(out, q);
          for (Index r = 0; r < rows.count; r++)
            product_tile<true>(rows.begin(r + 1) - rows.begin(r), columns.width)(
                inputs + p * plane + rows.begin(r), in, deltas + p * deltas_plane + columns.start * max_tiles, count,
                sum + (p * in + rows.begin(r)) * out + columns.start, out);
        }
    }
  });
  Vector check = {};
  for (Index k = 0; k < in && usable; k++)
    for (Index filter = 0; filter < out; filter += LANES) {
      Vector u[POSITIONS], columns[3][SIDE];
      for (int p = 0; p < POSITIONS; p++) {
        const float *at = sums + (p * in + k) * out + filter;
        u[p] = load(at);
        for (Index share = 1; share < shares; share++) u[p] += load(at + share * sum_floats);
      }
      for (int j = 0; j < SIDE; j++) {  // Gᵀ u
        Vector half = (u[4 + j] + u[8 + j]) * 0.5f;
        columns[0][j] = u[j] + half, columns[1][j] = (u[4 + j] - u[8 + j]) * 0.5f, columns[2][j] = half + u[12 + j];
      }
      for (int i = 0; i < 3; i++) {
        const Vector *row = columns[i];
        Vector half = (row[1] + row[2]) * 0.5f;
        Vector entries[3] = {row[0] + half, (row[1] - row[2]) * 0.5f, half + row[3]};
        for (int j = 0; j < 3; j++) {
          store(dweight + ((3 * i + j) * in + k) * out + filter, entries[j]);
          check += entries[j] * 0.0f;
        }
      }
    }
  return usable && is_zero(check);
}

}  // namespace VARIANT
}  // namespace retrograd
