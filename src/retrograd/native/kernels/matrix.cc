// The product xᵀ dy of matrices with many rows: the gradient of a layer's weights. Both are packed, some rows at a time: in place, the rows of the few columns that a tile reads lie so far apart that they share few lines of the cache.
#include "product.h"

namespace retrograd {
namespace VARIANT {
namespace {

constexpr Index ROWS_IN_HAND = 128;  // of these, a block of dy fills half of the first level cache
constexpr Index TASKS_A_THREAD = 4;

// A matrix of which the rows before `border` lie in one array and the others in another; each begins at its first row.
struct Stacked {
  const float *above, *below;
  Index border, columns;
  const float *row(Index i) const { return i < border ? above + i * columns : below + (i - border) * columns; }
};

// The products of up to two matrices, transposed, with dy, one below the other, and, if there is room for it, the sum of
// dy over the rows. Each thread adds up its own share of the rows, always the same one, and the shares are added in
// their order.
struct Products {
  const Pool &pool;
  Index rows, right;
  const float *dy;
  const Stacked *left;
  int count;
  float *const *products;  // one for each of the left
  float *total;            // null: not wanted

  // Rows lie one vector more apart than need be: else those of a tile would share few lines of the first level cache.
  static Index apart(Index columns) { return round_up(columns, LANES) + LANES; }

  bool compute() const {
    Index shares = larger(1, smaller(pool.threads, rows / ROWS_IN_HAND)), all = 0, row = apart(right);
    for (int i = 0; i < count; i++) all += left[i].columns;
    Index share_floats = (all + 1) * row;  // the last row is the sum of dy
    float *sums = scratch(SHARED, shares * share_floats);
    if (!sums) return false;
    bool enough = true;
    parallel(pool, shares, [&](Index share) {
      float *a = scratch(TASK, apart(all) * ROWS_IN_HAND), *b = scratch(TASK_TOO, row * ROWS_IN_HAND);
      float *sum = sums + share * share_floats;
      if (!a || !b) {
        __atomic_store_n(&enough, false, __ATOMIC_RELAXED);
        return;
      }
      clear(sum, share_floats);
      Index end = rows * (share + 1) / shares;
      for (Index first = rows * share / shares; first < end; first += ROWS_IN_HAND)
        add_rows(first, smaller(ROWS_IN_HAND, end - first), apart(all), a, b, sum, sum + all * row);
    });
    if (!enough) return false;
    const float *from = sums;
    for (int i = 0; i < count; from += left[i].columns * row, i++)
      add_shares(from, left[i].columns, shares, share_floats, products[i]);
    if (total) add_shares(from, 1, shares, share_floats, total);
    return true;
  }

  // What `height` rows from `first` on add to the sums.
  void add_rows(Index first, Index height, Index a_row, float *a, float *b, float *sum, float *dy_sum) const {
    Index covered = round_up(right, LANES), row = apart(right);
    for (Index i = 0; i < height; i++) {
      float *to = a + i * a_row;
      for (int n = 0; n < count; to += left[n].columns, n++) copy(to, left[n].row(first + i), left[n].columns);
    }
    for (Index i = 0; i < height; i++)  // row by row, as they lie in memory
      for (Index start = 0; start < right; start += WIDE) {
        Index width = smaller(WIDE, covered - start);
        pack_columns(dy + (first + i) * right + start, right, 1, smaller(width, right - start), width,
                     b + start * height + i * width);
      }
    for (Index start = 0; start < right; start += WIDE) {
      Index width = smaller(WIDE, covered - start);
      const float *block = b + start * height, *from = a;
      if (total) add_down(block, height, width, dy_sum + start);
      float *to = sum + start;
      for (int n = 0; n < count; from += left[n].columns, to += left[n].columns * row, n++) {
        Parts strips(left[n].columns, ROWS);
        for (Index s = 0; s < strips.count; s++)
          product_tile<true>(strips.begin(s + 1) - strips.begin(s), width)(from + strips.begin(s), a_row, block, height,
                                                                           to + strips.begin(s) * row, row);
      }
    }
  }

  static void add_down(const float *block, Index rows, Index width, float *to) {
    for (Index lane = 0; lane < width; lane += LANES) {
      Vector sum = {};
      for (Index i = 0; i < rows; i++) sum += load(block + i * width + lane);
      store(to + lane, load(to + lane) + sum);
    }
  }

  void add_shares(const float *from, Index height, Index shares, Index share_floats, float *to) const {
    Parts portions(height, ratio_up(height, pool.threads * TASKS_A_THREAD));
    parallel(pool, portions.count, [&](Index portion) {
      for (Index k = portions.begin(portion); k < portions.begin(portion + 1); k++)
        for (Index i = 0; i < right; i += LANES) {
          const float *at = from + k * apart(right) + i;
          Vector sum = load(at);
          for (Index share = 1; share < shares; share++) sum += load(at + share * share_floats);
          put(to + k * right + i, sum, right - i);
        }
    });
  }
};

}  // namespace

bool transposed_product(const Pool &pool, Index rows, Index left, Index right, const float *x, const float *dy,
                        float *product) {
  Stacked matrix = {x, nullptr, rows, left};
  return Products{pool, rows, right, dy, &matrix, 1, &product, nullptr}.compute();
}

// Of a recurrent layer: by the weights of the input and of the state before each step, and by the bias. The states before
// are those behind, one step later, with the first one before them.
bool recurrent_gradients(const Pool &pool, const Recurrence &r, Index features, Index width, const float *x,
                         const float *first, const float *states, const float *dz, float *dinput, float *drecurrent,
                         float *dbias) {
  Index rows = r.time * r.batch, most = (r.time - 1) * r.batch;
  Stacked before = r.reverse ? Stacked{states + r.batch * r.units, first, most, r.units}
                             : Stacked{first, states, r.batch, r.units};
  Stacked left[] = {{x, nullptr, rows, features}, before};
  float *products[] = {dinput, drecurrent};
  int skipped = features == 0;
  return Products{pool, rows, width, dz, left + skipped, 2 - skipped, products + skipped, dbias}.compute();
}

}  // namespace VARIANT
}  // namespace retrograd
