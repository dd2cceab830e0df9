// The product xᵀ dy of matrices with many rows: the gradient of a dense layer's weights. Both are packed, some rows at a
// time: in place, the rows of the few columns that a tile reads lie so far apart that they share few lines of the cache.
#include "product.h"

namespace retrograd {
namespace VARIANT {
namespace {

constexpr Index ROWS_IN_HAND = 128;  // of these, a block of dy fills half of the first level cache
constexpr Index STRIP = (ROWS + LANES - 1) / LANES * LANES;
constexpr Index TASKS_A_THREAD = 4;

}  // namespace

// Each thread adds up its own share of the rows, always the same one, and the shares are added in their order.
bool transposed_product(const Pool &pool, Index rows, Index left, Index right, const float *x, const float *dy,
                        float *product) {
  Parts strips(left, ROWS);
  Index wide = round_up(right, LANES), shares = larger(1, smaller(pool.threads, rows / ROWS_IN_HAND));
  float *sums = scratch(SHARED, shares * left * wide);
  if (!sums) return false;
  bool enough = true;
  parallel(pool, shares, [&](Index share) {
    float *a = scratch(TASK, strips.count * STRIP * ROWS_IN_HAND), *b = scratch(TASK_TOO, wide * ROWS_IN_HAND);
    float *sum = sums + share * left * wide;
    if (!a || !b) {
      __atomic_store_n(&enough, false, __ATOMIC_RELAXED);
      return;
    }
    clear(sum, left * wide);
    Index end = rows * (share + 1) / shares;
    for (Index first = rows * share / shares; first < end; first += ROWS_IN_HAND) {
      Index count = smaller(ROWS_IN_HAND, end - first);
      for (Index s = 0; s < strips.count; s++)
        pack_columns(x + first * left + strips.begin(s), left, count, smaller(STRIP, left - strips.begin(s)), STRIP,
                     a + s * STRIP * count);
      for (Index start = 0; start < right; start += WIDE) {
        Index width = smaller(WIDE, wide - start);
        pack_columns(dy + first * right + start, right, count, smaller(width, right - start), width, b + start * count);
        for (Index s = 0; s < strips.count; s++)
          product_tile<true>(strips.begin(s + 1) - strips.begin(s), width)(
              a + s * STRIP * count, STRIP, b + start * count, count, sum + strips.begin(s) * wide + start, wide);
      }
    }
  });
  Parts portions(left, ratio_up(left, pool.threads * TASKS_A_THREAD));
  parallel(pool, portions.count, [&](Index portion) {
    for (Index k = portions.begin(portion); k < portions.begin(portion + 1); k++)
      for (Index i = 0; i < right; i += LANES) {
        Vector total = load(sums + k * wide + i);
        for (Index share = 1; share < shares; share++) total += load(sums + (share * left + k) * wide + i);
        put(product + k * right + i, total, right - i);
      }
  });
  return enough;
}

}  // namespace VARIANT
}  // namespace retrograd
