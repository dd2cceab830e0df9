// Vectors of floats in the compiler's own notation (GCC and Clang), no intrinsics: the same source serves every
// processor. A kernel is a block of accumulators that stay in registers while a loop streams past them.
#pragma once
#include "kernels.h"

#define INLINE __attribute__((always_inline)) inline

namespace retrograd {
namespace VARIANT {
namespace {

// ROWS x 2 vectors of accumulators, 2 vectors of the streamed matrix and a broadcast must fit into the registers: 16 of 8
// floats in AVX2 (12 + 2 + 1), 16 of 4 in SSE (8 + 2 + some for what has no three-operand form), 32 of 4 in NEON
// (24 + 2 + 2). Of the 32 in AVX-512 half hide what a multiplication takes; with 28 a block takes longer to begin and to
// end, which costs short sums up to a third (a convolution 1x1 of 64 channels) and long ones nothing.
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 8;
#elif defined(__AVX2__)
constexpr int LANES = 8, ROWS = 6;
#elif defined(__aarch64__)
constexpr int LANES = 4, ROWS = 12;
#else
constexpr int LANES = 4, ROWS = 4;
#endif
constexpr int HALF = LANES > 4 ? LANES / 2 : LANES;  // eight channels would leave half of a vector of 16 idle

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
typedef float HalfVector __attribute__((vector_size(HALF * sizeof(float))));
typedef int32_t Integers __attribute__((vector_size(LANES * sizeof(float))));

template <class V> constexpr int lanes() { return sizeof(V) / sizeof(float); }

template <class V = Vector> INLINE V load(const float *p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class V> INLINE void store(float *p, V v) { __builtin_memcpy(p, &v, sizeof v); }
template <class V = Vector> INLINE V splat(float x) { return x - V{}; }  // x - 0 is x, NaN and -0 included

// The first `count` lanes alone; the others are zeros.
template <class V = Vector> INLINE V load_some(const float *p, Index count) {
  V v = {};
  __builtin_memcpy(&v, p, size_t(count) * sizeof(float));
  return v;
}
template <class V> INLINE void store_some(float *p, V v, Index count) {
  __builtin_memcpy(p, &v, size_t(count) * sizeof(float));
}

// One vector of a row of which `count` numbers are left.
INLINE Vector get(const float *p, Index count) { return count >= LANES ? load(p) : load_some(p, count); }
INLINE void put(float *p, Vector v, Index count) { count >= LANES ? store(p, v) : store_some(p, v, count); }

// max(x, 0) as XLA has it: NaN stays, and -0 becomes 0.
template <class V> INLINE V positive(V x) { return x <= V{} ? V{} : x; }  // a vector or a single number

INLINE Index smaller(Index a, Index b) { return a < b ? a : b; }
INLINE Index larger(Index a, Index b) { return a > b ? a : b; }
INLINE Index ratio_up(Index a, Index b) { return (a + b - 1) / b; }
INLINE Index round_up(Index a, Index b) { return ratio_up(a, b) * b; }
INLINE void copy(float *to, const float *from, Index count) {
  __builtin_memcpy(to, from, size_t(count) * sizeof(float));
}
INLINE void clear(float *to, Index count) { __builtin_memset(to, 0, size_t(count) * sizeof(float)); }

// sum[m][n] += the sum over k of a[m * row + k * step] * b[k][n], N vectors for each k side by side in b
template <int M, int N>
INLINE void multiply(Vector (&sum)[M][N], const float *a, Index row, Index step, const float *b, Index inner) {
#pragma GCC unroll 2
  for (Index k = 0; k < inner; k++, b += N * LANES) {
    Vector w[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) w[n] = load(b + n * LANES);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      Vector x = splat(a[m * row + k * step]);
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) sum[m][n] += x * w[n];
    }
  }
}

// Columns are cut in blocks of two vectors; what is left, if it fits into one vector or half of one, in such a block.
struct Block {
  Index start, count, width;  // `count` columns, padded with zeros to `width` lanes
};
INLINE Index blocks(Index columns) {
  Index wide = columns <= LANES ? 0 : ratio_up(columns - LANES, 2 * LANES);
  return wide + (columns > wide * 2 * LANES);
}
INLINE Block block(Index columns, Index number) {
  Index start = number * 2 * LANES, left = columns - start;
  if (left > LANES) return {start, smaller(left, 2 * LANES), 2 * LANES};
  return {start, left, left <= HALF ? HALF : LANES};
}
// Floats that matrices of so many rows take when they lie packed, block after block.
INLINE Index packed(Index columns, Index rows) { return blocks(columns) * 2 * LANES * rows; }

// Cut `total` in parts of at most `most` that differ by one at most; return where part number i begins.
struct Parts {
  Index total, count;
  Parts(Index total, Index most) : total(total), count(ratio_up(total, most)) {}
  INLINE Index begin(Index i) const { return total * i / count; }
};

}  // namespace
}  // namespace VARIANT
}  // namespace retrograd
