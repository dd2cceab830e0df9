// A block of a matrix product, with its sums in registers.
#pragma once
#include "vectors.h"

namespace retrograd {
namespace VARIANT {
namespace {

constexpr Index WIDE = 2 * LANES;

// to[i][0 .. width) = from[i][0 .. count), padded with zeros
INLINE void pack_columns(const float *from, Index row, Index rows, Index count, Index width, float *to) {
  for (Index i = 0; i < rows; i++, to += width, from += row)
    for (Index lane = 0; lane < width; lane += LANES)
      store(to + lane, lane + LANES <= count ? load(from + lane) : load_partial(from + lane, max(0, count - lane)));
}

// c[m][n] = or += the sum over k of a[m][k] * b[k][n]. ADJOINT: a is stored transposed, and c is added to.
template <int M, int N, bool ADJOINT>
void tile_product(const float *a, Index row, const float *b, Index inner, float *c, Index c_row) {
  Vector sum[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) sum[m][n] = ADJOINT ? load(c + m * c_row + n * LANES) : Vector{};
  multiply<M, N>(sum, a, ADJOINT ? 1 : row, ADJOINT ? row : 1, b, inner);
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) store(c + m * c_row + n * LANES, sum[m][n]);
}

typedef void (*ProductTile)(const float *, Index, const float *, Index, float *, Index);

template <bool ADJOINT, int N, int M = ROWS> ProductTile product_tile_of(Index rows) {
  if constexpr (M == 0)
    return nullptr;
  else
    return rows == M ? &tile_product<M, N, ADJOINT> : product_tile_of<ADJOINT, N, M - 1>(rows);
}
template <bool ADJOINT> ProductTile product_tile(Index rows, Index columns) {
  return columns > LANES ? product_tile_of<ADJOINT, 2>(rows) : product_tile_of<ADJOINT, 1>(rows);
}

}  // namespace
}  // namespace VARIANT
}  // namespace retrograd
