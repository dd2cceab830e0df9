// Convolution by kernels of 3 x 3 without stride or dilation, by minimal filtering (Winograd 1980; Lavin & Gray 2016,
// arXiv:1509.09308, section 4.1). Outputs are taken in tiles of 2 x 2. Of the 4 x 4 inputs that a tile sees, and of the
// kernel, some sums and differences are multiplied, 16 products in place of 36:
//     y = Aᵀ (G w Gᵀ ⊙ Bᵀ x B) A,        dw = Gᵀ (Bᵀ x B ⊙ A dy Aᵀ) G
// Summed over channels (or tiles) they are 16 products of matrices, one for each place of a tile.
//
// What is not finite would reach all outputs of a tile, and a sum may overflow that the convolution does not have. Then
// some result is not finite either: each of the 16 products is part of one. So results are watched, and where one is not
// finite these functions return false, as where they do not fit, and the direct sums are computed instead.
#include "product.h"

namespace retrograd {
namespace VARIANT {
namespace {

constexpr int SIDE = 4, PLACES = SIDE * SIDE;
constexpr Index TILES_FLOATS = 64 * 1024;              // what the tiles in hand become, in the second level cache
constexpr Index GRADIENT_FLOATS = 256 * 1024;          // the sums for the weights, which must stay there beside them
constexpr Index TASKS_A_THREAD = 4;

bool fits(const Convolution &c) {
  return c.kernel_height == 3 && c.kernel_width == 3 && c.stride_height == 1 && c.stride_width == 1 &&
         c.dilation_height == 1 && c.dilation_width == 1 && c.groups == 1 && c.channels % LANES == 0 &&
         c.filters % LANES == 0 && c.out_height > 1 && c.out_width > 1;
}

// The tiles of all images, one after the other; the last ones of a row or column may hang over.
struct Tiles {
  Index down, across, count;
  explicit Tiles(const Convolution &c)
      : down(ratio_up(c.out_height, 2)), across(ratio_up(c.out_width, 2)), count(c.batch * down * across) {}
  Index image(Index tile) const { return tile / (down * across); }
  Index row(Index tile) const { return tile / across % down * 2; }  // of its first output
  Index column(Index tile) const { return tile % across * 2; }
};

struct Images {
  const float *at;
  Index height, width, channels;
  const float *nothing;  // zeros
};

// The pixels of a square of an image, nothing where it has none.
template <int N> struct Square {
  const float *pixel[N][N];
  Square(const Images &from, Index image, Index row, Index column) {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        Index r = row + i, c = column + j;
        bool inside = r >= 0 && r < from.height && c >= 0 && c < from.width;
        pixel[i][j] = inside ? from.at + ((image * from.height + r) * from.width + c) * from.channels : from.nothing;
      }
  }
};

// Each matrix times a vector.
struct Four {
  Vector a, b, c, d;
};
INLINE Four by_bt(Vector a, Vector b, Vector c, Vector d) { return {a - c, b + c, c - b, b - d}; }
INLINE Four by_g(Vector a, Vector b, Vector c) {
  Vector outer = (a + c) * 0.5f, inner = b * 0.5f;
  return {a, outer + inner, outer - inner, c};
}
INLINE Four by_a(Vector a, Vector b) { return {a, a + b, a - b, -b}; }

// to[place][k] = Bᵀ x B
INLINE void spread_inputs(const Square<SIDE> &x, Index channels, float *to, Index place) {
  for (Index k = 0; k < channels; k += LANES) {
    Four rows[SIDE];
#pragma GCC unroll 4
    for (int i = 0; i < SIDE; i++) {
      const float *const *p = x.pixel[i];
      rows[i] = by_bt(load(p[0] + k), load(p[1] + k), load(p[2] + k), load(p[3] + k));
    }
    auto put_column = [&](int column, Four f) {
      float *at = to + column * place + k;
      store(at, f.a), store(at + 4 * place, f.b), store(at + 8 * place, f.c), store(at + 12 * place, f.d);
    };
    put_column(0, by_bt(rows[0].a, rows[1].a, rows[2].a, rows[3].a));
    put_column(1, by_bt(rows[0].b, rows[1].b, rows[2].b, rows[3].b));
    put_column(2, by_bt(rows[0].c, rows[1].c, rows[2].c, rows[3].c));
    put_column(3, by_bt(rows[0].d, rows[1].d, rows[2].d, rows[3].d));
  }
}

// to[place] = A dy Aᵀ, of one vector of filters
INLINE void spread_deltas(const Square<2> &dy, Index filter, float *to, Index place) {
  Four first = by_a(load(dy.pixel[0][0] + filter), load(dy.pixel[1][0] + filter));
  Four second = by_a(load(dy.pixel[0][1] + filter), load(dy.pixel[1][1] + filter));
  auto put_row = [&](int row, Four f) {
    float *at = to + 4 * row * place;
    store(at, f.a), store(at + place, f.b), store(at + 2 * place, f.c), store(at + 3 * place, f.d);
  };
  put_row(0, by_a(first.a, second.a)), put_row(1, by_a(first.b, second.b));
  put_row(2, by_a(first.c, second.c)), put_row(3, by_a(first.d, second.d));
}

// G w Gᵀ, packed [block of filters][place][channel][lane]
void spread_weights(const Pool &pool, const Convolution &c, const Taps &w, float *packed) {
  auto vector_of = [&](Index entry, Index k, Index filter) {
    const float *from = w.at + entry * w.entry + k * w.in + filter * w.out;
    if (w.out == 1) return load(from);
    float lanes[LANES];
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = from[lane * w.out];
    return load(lanes);
  };
  parallel(pool, blocks(c.filters), [&](Index q) {
    Block columns = block(c.filters, q);
    float *to = packed + columns.start * PLACES * c.channels;
    Index place = c.channels * columns.width;
    for (Index k = 0; k < c.channels; k++)
      for (Index lane = 0; lane < columns.width; lane += LANES) {
        Four column[3];
        for (int j = 0; j < 3; j++) {
          Index filter = columns.start + lane;
          column[j] = by_g(vector_of(j, k, filter), vector_of(3 + j, k, filter), vector_of(6 + j, k, filter));
        }
        auto put_row = [&](int row, Four f) {
          float *at = to + 4 * row * place + k * columns.width + lane;
          store(at, f.a), store(at + place, f.b), store(at + 2 * place, f.c), store(at + 3 * place, f.d);
        };
        put_row(0, by_g(column[0].a, column[1].a, column[2].a)), put_row(1, by_g(column[0].b, column[1].b, column[2].b));
        put_row(2, by_g(column[0].c, column[1].c, column[2].c)), put_row(3, by_g(column[0].d, column[1].d, column[2].d));
      }
  });
}

// y = Aᵀ m A of a tile and one vector of filters, as far as there are outputs, and what follows it; returns 0, or NaN if
// some sum is not finite: what follows could hide that.
INLINE Vector collect(const float *m, Index place, const Behind &behind, float *y, Index row, Index pixel, bool below,
                      bool right) {
  Vector upper[SIDE], lower[SIDE];
#pragma GCC unroll 4
  for (int j = 0; j < SIDE; j++) {
    const float *at = m + j * place;
    Vector a = load(at), b = load(at + 4 * place), c = load(at + 8 * place), d = load(at + 12 * place);
    upper[j] = a + b + c, lower[j] = b - c - d;
  }
  Vector first = upper[0] + upper[1] + upper[2], second = upper[1] - upper[2] - upper[3];
  Vector third = lower[0] + lower[1] + lower[2], fourth = lower[1] - lower[2] - lower[3];
  Vector bias = behind.bias ? load(behind.bias) : Vector{};
  auto put = [&](Index offset, Vector sum) {
    if (behind.bias) sum += bias;
    if (behind.residual) sum += load(behind.residual + offset);
    store(y + offset, behind.relu ? positive(sum) : sum);
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

Index tiles_in_hand(Index all, Index floats) { return larger(ROWS, smaller(all, TILES_FLOATS / (PLACES * floats))); }

}  // namespace

bool winograd(const Pool &pool, const Convolution &c, const float *x, const Taps &w, const Behind &behind, float *y) {
  if (!fits(c)) return false;
  Tiles tiles(c);
  Index in = c.channels, out = c.filters;
  Parts parts(tiles.count, tiles_in_hand(ratio_up(tiles.count, pool.threads * TASKS_A_THREAD), in));
  // Places lie one line of the cache more apart than need be: else all 16 would share few lines of the first level.
  Index most = ratio_up(tiles.count, parts.count), place = most * in + LANES, sums_place = most * WIDE + LANES;
  float *weights = scratch(SHARED, PLACES * in * out), *nothing = scratch(SHARED_TOO, in);
  if (!weights || !nothing) return false;
  clear(nothing, in);
  spread_weights(pool, c, w, weights);
  Images images = {x, c.height, c.width, in, nothing};
  bool fine = true;
  parallel(pool, parts.count, [&](Index task) {
    float *inputs = scratch(TASK, PLACES * place), *sums = scratch(TASK_TOO, PLACES * sums_place);
    if (!inputs || !sums) {
      __atomic_store_n(&fine, false, __ATOMIC_RELAXED);
      return;
    }
    Index begin = parts.begin(task), count = parts.begin(task + 1) - begin;
    for (Index t = 0; t < count; t++) {
      Index tile = begin + t;
      Square<SIDE> seen(images, tiles.image(tile), tiles.row(tile) - c.before_height, tiles.column(tile) - c.before_width);
      spread_inputs(seen, in, inputs + t * in, place);
    }
    Parts rows(count, ROWS);
    Vector watched = {};
    for (Index q = 0; q < blocks(out); q++) {
      Block columns = block(out, q);
      const float *b = weights + columns.start * PLACES * in;
      for (Index p = 0; p < PLACES; p++, b += in * columns.width)
        for (Index r = 0; r < rows.count; r++)
          product_tile<false>(rows.begin(r + 1) - rows.begin(r), columns.width)(
              inputs + p * place + rows.begin(r) * in, in, b, in,
              sums + p * sums_place + rows.begin(r) * columns.width, columns.width);
      for (Index t = 0; t < count; t++) {
        Index tile = begin + t, i = tiles.row(tile), j = tiles.column(tile);
        Index to = ((tiles.image(tile) * c.out_height + i) * c.out_width + j) * out;
        for (Index filter = columns.start; filter < columns.start + columns.width; filter += LANES)
          watched += collect(sums + t * columns.width + filter - columns.start, sums_place,
                             behind.at(filter, to + filter), y + to + filter, c.out_width * out, out,
                             i + 1 < c.out_height, j + 1 < c.out_width);
      }
    }
    if (!is_zero(watched)) __atomic_store_n(&fine, false, __ATOMIC_RELAXED);
  });
  return fine;
}

// As for any other convolution, each thread adds up its own share of the tiles, and the shares are added in their order.
bool winograd_weight_gradient(const Pool &pool, const Convolution &c, const float *x, const float *dy, float *dweight) {
  Index in = c.channels, out = c.filters, sum_floats = PLACES * in * out;
  if (!fits(c) || sum_floats > GRADIENT_FLOATS) return false;
  Tiles tiles(c);
  Index shares = larger(1, smaller(pool.threads, tiles.count / ROWS));
  Index most = tiles_in_hand(ratio_up(tiles.count, shares), in + out);
  Index place = most * in + LANES, deltas_place = most * out + LANES;
  float *sums = scratch(SHARED, shares * sum_floats), *nothing = scratch(SHARED_TOO, larger(in, out));
  if (!sums || !nothing) return false;
  clear(nothing, larger(in, out));
  Images images = {x, c.height, c.width, in, nothing}, arriving = {dy, c.out_height, c.out_width, out, nothing};
  bool fine = true;
  parallel(pool, shares, [&](Index share) {
    float *inputs = scratch(TASK, PLACES * place), *deltas = scratch(TASK_TOO, PLACES * deltas_place);
    float *sum = sums + share * sum_floats;
    if (!inputs || !deltas) {
      __atomic_store_n(&fine, false, __ATOMIC_RELAXED);
      return;
    }
    clear(sum, sum_floats);
    Index first = tiles.count * share / shares, last = tiles.count * (share + 1) / shares;
    Parts parts(last - first, most), rows(in, ROWS);
    for (Index part = 0; part < parts.count; part++) {
      Index begin = first + parts.begin(part), count = first + parts.begin(part + 1) - begin;
      for (Index t = 0; t < count; t++) {
        Index tile = begin + t, image = tiles.image(tile), i = tiles.row(tile), j = tiles.column(tile);
        spread_inputs({images, image, i - c.before_height, j - c.before_width}, in, inputs + t * in, place);
        Square<2> here(arriving, image, i, j);
        for (Index q = 0; q < blocks(out); q++) {
          Block columns = block(out, q);
          for (Index lane = 0; lane < columns.width; lane += LANES)
            spread_deltas(here, columns.start + lane, deltas + columns.start * most + t * columns.width + lane,
                          deltas_place);
        }
      }
      for (Index p = 0; p < PLACES; p++)
        for (Index q = 0; q < blocks(out); q++) {
          Block columns = block(out, q);
          for (Index r = 0; r < rows.count; r++)
            product_tile<true>(rows.begin(r + 1) - rows.begin(r), columns.width)(
                inputs + p * place + rows.begin(r), in, deltas + p * deltas_place + columns.start * most, count,
                sum + (p * in + rows.begin(r)) * out + columns.start, out);
        }
    }
  });
  Vector watched = {};
  for (Index k = 0; k < in && fine; k++)
    for (Index filter = 0; filter < out; filter += LANES) {
      Vector u[PLACES], columns[3][SIDE];
      for (int p = 0; p < PLACES; p++) {
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
          watched += entries[j] * 0.0f;
        }
      }
    }
  return fine && is_zero(watched);
}

}  // namespace VARIANT
}  // namespace retrograd
