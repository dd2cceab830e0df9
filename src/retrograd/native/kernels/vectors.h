// Vectors of floats in the compiler's own notation (GCC and Clang), no intrinsics: the same source serves every
// processor. A kernel is a block of accumulators that stay in registers while a loop streams its operands past them.
#pragma once
#include "kernels.h"

#define INLINE __attribute__((always_inline)) inline

namespace retrograd {
namespace VARIANT {
namespace {

// ROWS x 2 accumulators, 2 vectors of the streamed matrix and a broadcast value must fit into the registers: 16 of 8
// floats in AVX2 (12 + 2 + 1), 16 of 4 in SSE (8 + 2 + a few, as SSE has no three-operand instructions), 32 of 4 in
// NEON (24 + 2 + 2). In AVX-512, 16 accumulators already hide the latency of a multiplication; with 28 of the 32
// registers a block takes longer to start and to finish, which slows short sums by up to a third (a 1 x 1 convolution
// of 64 channels) and does not speed up long ones.
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 8;
#elif defined(__AVX2__)
constexpr int LANES = 8, ROWS = 6;
#elif defined(__aarch64__)
constexpr int LANES = 4, ROWS = 12;
#else
constexpr int LANES = 4, ROWS = 4;
#endif
constexpr int HALF = LANES > 4 ? LANES / 2 : LANES;  // with eight channels, half of a 16-lane vector would be idle

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

// Load the first `count` lanes; the others are zero.
template <class V = Vector> INLINE V load_partial(const float *p, Index count) {
  V v = {};
  __builtin_memcpy(&v, p, size_t(count) * sizeof(float));
  return v;
}
template <class V> INLINE void store_partial(float *p, V v, Index count) {
  __builtin_memcpy(p, &v, size_t(count) * sizeof(float));
}

// A vector of a row that has `count` numbers remaining.
INLINE Vector get(const float *p, Index count) { return count >= LANES ? load(p) : load_partial(p, count); }
INLINE void put(float *p, Vector v, Index count) { count >= LANES ? store(p, v) : store_partial(p, v, count); }

// max(x, 0) as XLA computes it: NaN stays NaN, and -0 becomes 0.
template <class V> INLINE V positive(V x) { return x <= V{} ? V{} : x; }  // a vector or a scalar

INLINE Index min(Index a, Index b) { return a < b ? a : b; }
INLINE Index max(Index a, Index b) { return a > b ? a : b; }
INLINE Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
INLINE Index round_up(Index a, Index b) { return ceil_div(a, b) * b; }
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

// Columns are split into blocks of two vectors; a remainder that fits into one vector or half of one is such a block.
struct Block {
  Index start, count, width;  // `count` columns, padded with zeros to `width` lanes
};
INLINE Index blocks(Index columns) {
  Index wide = columns <= LANES ? 0 : ceil_div(columns - LANES, 2 * LANES);
  return wide + (columns > wide * 2 * LANES);
}
INLINE Block block(Index columns, Index number) {
  Index start = number * 2 * LANES, remaining = columns - start;
  if (remaining > LANES) return {start, min(remaining, 2 * LANES), 2 * LANES};
  return {start, remaining, remaining <= HALF ? HALF : LANES};
}
// Size in floats of a packed matrix, block after block.
INLINE Index packed(Index columns, Index rows) { return blocks(columns) * 2 * LANES * rows; }

// Split `total` into the fewest parts of at most `limit`, whose sizes differ by at most one; begin(i) is the start of
// i.
struct Parts {
  Index total, count;
  Parts(Index total, Index limit) : total(total), count(ceil_div(total, limit)) {}
  INLINE Index begin(Index i) const { return total * i / count; }
};

}  // namespace
}  // namespace VARIANT
}  // namespace retrograd
