// The product xᵀ dy of matrices with many rows: the gradient of a layer's weights. Both are packed, a block of rows at
// a time: in place, the rows of the few columns that a tile reads would compete for a few cache sets.
#include "product.h"

namespace retrograd {
namespace VARIANT {
namespace {

constexpr Index ROW_BLOCK = 128;  // a block of dy with this many rows fills half of the L1 cache
constexpr Index TASKS_PER_THREAD = 4;

// A matrix with the rows before `split` in one array and the others in another, each beginning with its first row.
struct Stacked {
  const float *above, *below;
  Index split, columns;
  const float *row(Index i) const { return i < split ? above + i * columns : below + (i - split) * columns; }
};

// The products of up to two transposed matrices with dy, one below the other, and on request the sum of dy over the
// rows. Each thread accumulates a fixed share of the rows, and the shares are added in a fixed order.
struct Products {
  const Pool &pool;
  Index rows, right;
  const float *dy;
  const Stacked *left;
  int count;
  float *const *products;  // one for each matrix in `left`
  float *total;            // sum of dy; null: not requested

  // Rows are one vector further apart than needed: otherwise those of a tile would compete for a few L1 cache sets.
  static Index row_stride(Index columns) { return round_up(columns, LANES) + LANES; }

  bool compute() const {
    Index shares = max(1, min(pool.threads, rows / ROW_BLOCK)), all = 0, row = row_stride(right);
    for (int i = 0; i < count; i++) all += left[i].columns;
    Index share_floats = (all + 1) * row;  // the last row is the sum of dy
    float *sums = scratch(SHARED, shares * share_floats);
    if (!sums) return false;
    bool allocated = true;
    parallel(pool, shares, [&](Index share) {
      float *a = scratch(TASK, row_stride(all) * ROW_BLOCK), *b = scratch(TASK_2, row * ROW_BLOCK);
      float *sum = sums + share * share_floats;
      if (!a || !b) {
        __atomic_store_n(&allocated, false, __ATOMIC_RELAXED);
        return;
      }
      clear(sum, share_floats);
      Index end = rows * (share + 1) / shares;
      for (Index first = rows * share / shares; first < end; first += ROW_BLOCK)
        add_rows(first, min(ROW_BLOCK, end - first), row_stride(all), a, b, sum, sum + all * row);
    });
    if (!allocated) return false;
    const float *from = sums;
    for (int i = 0; i < count; from += left[i].columns * row, i++)
      add_shares(from, left[i].columns, shares, share_floats, products[i]);
    if (total) add_shares(from, 1, shares, share_floats, total);
    return true;
  }

  // Add the contribution of `height` rows, beginning with `first`, to the sums.
  void add_rows(Index first, Index height, Index a_row, float *a, float *b, float *sum, float *dy_sum) const {
    Index covered = round_up(right, LANES), row = row_stride(right);
    for (Index i = 0; i < height; i++) {
      float *to = a + i * a_row;
      for (int n = 0; n < count; to += left[n].columns, n++) copy(to, left[n].row(first + i), left[n].columns);
    }
    for (Index i = 0; i < height; i++)  // row by row, in memory order
      for (Index start = 0; start < right; start += WIDE) {
        Index width = min(WIDE, covered - start);
        pack_columns(dy + (first + i) * right + start, right, 1, min(width, right - start), width,
                     b + start * height + i * width);
      }
    for (Index start = 0; start < right; start += WIDE) {
      Index width = min(WIDE, covered - start);
      const float *block = b + start * height, *from = a;
      if (total) add_column_sums(block, height, width, dy_sum + start);
      float *to = sum + start;
      for (int n = 0; n < count; from += left[n].columns, to += left[n].columns * row, n++) {
        Parts strips(left[n].columns, ROWS);
        for (Index s = 0; s < strips.count; s++)
          product_tile<true>(strips.begin(s + 1) - strips.begin(s), width)(from + strips.begin(s), a_row, block, height,
                                                                           to + strips.begin(s) * row, row);
      }
    }
  }

  static void add_column_sums(const float *block, Index rows, Index width, float *to) {
    for (Index lane = 0; lane < width; lane += LANES) {
      Vector sum = {};
      for (Index i = 0; i < rows; i++) sum += load(block + i * width + lane);
      store(to + lane, load(to + lane) + sum);
    }
  }

  void add_shares(const float *from, Index height, Index shares, Index share_floats, float *to) const {
    Parts portions(height, ceil_div(height, pool.threads * TASKS_PER_THREAD));
    parallel(pool, portions.count, [&](Index portion) {
      for (Index k = portions.begin(portion); k < portions.begin(portion + 1); k++)
        for (Index i = 0; i < right; i += LANES) {
          const float *at = from + k * row_stride(right) + i;
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

// Gradients of a recurrent layer by its input weights, recurrent weights and bias. The state before a step is the state
// after the previous one, and before the first step the initial state.
bool recurrent_gradients(const Pool &pool, const Recurrence &r, Index features, Index width, const float *x,
                         const float *initial, const float *states, const float *dz, float *dinput, float *drecurrent,
                         float *dbias) {
  Index rows = r.time * r.batch, later_rows = (r.time - 1) * r.batch;
  Stacked previous = r.reverse ? Stacked{states + r.batch * r.units, initial, later_rows, r.units}
                               : Stacked{initial, states, r.batch, r.units};
  Stacked left[] = {{x, nullptr, rows, features}, previous};
  float *products[] = {dinput, drecurrent};
  int skip_input = features == 0;
  return Products{pool, rows, width, dz, left + skip_input, 2 - skip_input, products + skip_input, dbias}.compute();
}

}  // namespace VARIANT
}  // namespace retrograd
