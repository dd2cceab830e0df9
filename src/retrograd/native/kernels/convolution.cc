// Convolution of float32 images (rows of pixels, channels last): forward, and gradients by the data and the weights.
//
// In a row of the image, everything that a row of the kernel covers, kernel_width x channels numbers, is contiguous,
// and what it covers for the next output begins `stride x channels` further on. A convolution is therefore a sum, over
// the rows of the kernel, of matrix products whose left matrices have overlapping rows: no im2col matrix is written.
// With a dilated kernel only the channels of one pixel are contiguous, and the sum is over all entries of the kernel.
#include "vectors.h"

namespace retrograd {
namespace VARIANT {
namespace {

// A band of rows is copied with its zero padding before it is used: what a task copies should stay in the L2 cache
// (1 MiB or 512 KiB here, 256 KiB elsewhere) together with the packed weights of a block of filters.
constexpr Index BAND_FLOATS = 48 * 1024;
constexpr Index GRADIENT_BAND_FLOATS = 64 * 1024;  // x and dy together
constexpr Index TASKS_PER_THREAD = 4;              // so that no thread waits long for the last task
constexpr Index SMALL_COPY = 20000;                // floats; below this, waking a thread costs more than it saves

// One group's part of a convolution, as a matrix product.
struct Geometry : Convolution {
  Index depth;                     // channels per group
  Index group_filters;             // filters per group
  Index padded_width;              // pixels of a padded row that some window covers
  bool dilated;                    // the entries of a kernel row are not contiguous
  bool in_place;                   // a single entry and no padding: pixels are read where they are
  Index taps, inner;               // contiguous runs of numbers that a window covers, and their length
  explicit Geometry(const Convolution &c) : Convolution(c) {
    depth = channels / groups;
    group_filters = filters / groups;
    padded_width = (out_width - 1) * stride_width + (kernel_width - 1) * dilation_width + 1;
    dilated = dilation_width > 1 && kernel_width > 1;
    in_place = kernel_height * kernel_width == 1 && pad_top == 0 && pad_left == 0 &&
               (out_height - 1) * stride_height < height && padded_width <= width && (depth > 1 || groups == 1);
    taps = dilated ? kernel_height * kernel_width : kernel_height;
    inner = dilated ? depth : kernel_width * depth;
  }
  Index input_rows(Index outputs) const {
    return (outputs - 1) * stride_height + (kernel_height - 1) * dilation_height + 1;
  }
  // Offset of a tap from the start of its window, in a band whose pixels have `depth` numbers.
  Index offset(Index tap, Index depth) const {
    Index row = dilated ? tap / kernel_width : tap, column = dilated ? tap % kernel_width : 0;
    return (row * dilation_height * padded_width + column * dilation_width) * depth;
  }
};

// Copy the rows needed for outputs first .. first + outputs of one image, with zero padding: `depth` channels of each
// pixel, beginning with `channel`. Every pixel of the band has `stored` >= depth numbers, the additional ones 0.
void copy_band(const Geometry &g, const float *image, Index first, Index outputs, Index channel, Index depth,
               Index stored, float *band) {
  Index rows = g.input_rows(outputs), row_floats = g.padded_width * stored;
  Index left = min(max(g.pad_left, 0), g.padded_width), cropped = max(-g.pad_left, 0);
  Index inside = max(0, min(g.width - cropped, g.padded_width - left));
  for (Index r = 0; r < rows; r++) {
    float *to = band + r * row_floats;
    Index row = first * g.stride_height - g.pad_top + r;
    if (row < 0 || row >= g.height || inside == 0) {
      clear(to, row_floats);
      continue;
    }
    clear(to, left * stored);
    const float *from = image + (row * g.width + cropped) * g.channels + channel;
    to += left * stored;
    if (depth == g.channels && stored == depth) {
      copy(to, from, inside * depth);
    } else {
      for (Index j = 0; j < inside; j++, from += g.channels) {
        copy(to + j * stored, from, depth);
        if (stored > depth) clear(to + j * stored + depth, stored - depth);
      }
    }
    clear(to + inside * stored, (g.padded_width - left - inside) * stored);
  }
}

Index outputs_per_band(const Geometry &g, Index stored, Index threads) {
  Index row_floats = max(1, g.padded_width * stored * g.stride_height);
  Index by_cache = max(1, BAND_FLOATS / row_floats);
  Index by_threads = max(1, g.batch * g.out_height / (threads * TASKS_PER_THREAD));
  return min(g.out_height, min(by_cache, by_threads));
}

// --------------------------------------------------------------------------------------------------------- the product

// Epilogue of a tile: bias, padded to whole vectors, and relu. It does not include the residual, which would be read
// one block of filters at a time and wait for memory: the residual is added to whole rows once a task has stored them.
struct TileEpilogue {
  const float *bias;
  bool relu;
  bool any() const { return bias || relu; }
};

template <class V, int M, int N> INLINE void apply(V (&sum)[M][N], const TileEpilogue &epilogue) {
  if (epilogue.bias)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) {
      V bias = load<V>(epilogue.bias + n * lanes<V>());
#pragma GCC unroll 16
      for (int m = 0; m < M; m++) sum[m][n] += bias;
    }
  if (epilogue.relu)
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 2
      for (int n = 0; n < N; n++) sum[m][n] = positive(sum[m][n]);
}

// y = y + residual, and relu
template <bool RELU> void add_residual(const float *residual, float *y, Index count) {
  Index i = 0;
#pragma GCC unroll 4
  for (; i + LANES <= count; i += LANES) {
    Vector sum = load(y + i) + load(residual + i);
    store(y + i, RELU ? positive(sum) : sum);
  }
  for (; i < count; i++) {
    float sum = y[i] + residual[i];
    y[i] = RELU ? positive(sum) : sum;
  }
}

// y[m][..] = the sum over taps t and k of a[m * step + offset(t) + k] * b[t][k][..], for M pixels and N vectors.
template <class V, int M, int N>
void tile(const float *a, const Index *offsets, Index taps, Index inner, Index step, const float *b,
          const TileEpilogue *epilogue, float *y, Index pixel, Index count) {
  constexpr int L = lanes<V>();
  V sum[M][N] = {};
  for (Index t = 0; t < taps; t++) {
    const float *from = a + offsets[t];
#pragma GCC unroll 4
    for (Index k = 0; k < inner; k++, from++, b += N * L) {
      V w[N];
#pragma GCC unroll 2
      for (int n = 0; n < N; n++) w[n] = load<V>(b + n * L);
#pragma GCC unroll 16
      for (int m = 0; m < M; m++) {
        V x = splat<V>(from[m * step]);
#pragma GCC unroll 2
        for (int n = 0; n < N; n++) sum[m][n] += x * w[n];
      }
    }
  }
  if (epilogue) apply(sum, *epilogue);
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) {
      if (count >= (n + 1) * L)
        store(y + m * pixel + n * L, sum[m][n]);
      else
        store_partial(y + m * pixel + n * L, sum[m][n], count - n * L);
    }
}

typedef void (*Tile)(const float *, const Index *, Index, Index, Index, const float *, const TileEpilogue *, float *,
                     Index, Index);

template <class V, int N, int M = ROWS> Tile tile_of(Index rows) {
  if constexpr (M == 0)
    return nullptr;
  else
    return rows == M ? &tile<V, M, N> : tile_of<V, N, M - 1>(rows);
}
Tile tile_for(Index rows, Index width) {
  if (width == 2 * LANES) return tile_of<Vector, 2>(rows);
  return width == LANES ? tile_of<Vector, 1>(rows) : tile_of<HalfVector, 1>(rows);
}

// Layout of the outputs: dx of a strided convolution is written with gaps, one residue class of pixels at a time.
struct Outputs {
  float *at;
  Index image, row, pixel;
  Epilogue epilogue = {};  // a gradient has none

  TileEpilogue tile_epilogue(const float *padded_bias) const {
    return {epilogue.bias ? padded_bias : nullptr, epilogue.relu && !epilogue.residual};
  }

  // Add the residual to rows of `filters` filters, beginning at `start`.
  void finish(Index start, Index rows, Index columns, Index filters) const {
    if (!epilogue.residual) return;
    Index runs = filters == pixel ? 1 : columns, run = filters == pixel ? columns * filters : filters;
    for (Index i = 0; i < rows; i++)
      for (Index j = 0; j < runs; j++) {
        Index to = start + i * row + j * pixel;
        (epilogue.relu ? add_residual<true> : add_residual<false>)(epilogue.residual + to, at + to, run);
      }
  }
};

// The convolution of one group with packed weights [block][tap][inner][width of block].
bool product(const Pool &pool, const Geometry &g, const float *x, Index group, const float *weights, Outputs y) {
  Index outputs = outputs_per_band(g, g.depth, pool.threads), bands = ceil_div(g.out_height, outputs);
  Index *offsets = reinterpret_cast<Index *>(scratch(SHARED_2, 2 * g.taps));
  if (!offsets) return false;
  for (Index t = 0; t < g.taps; t++) offsets[t] = g.offset(t, g.depth);
  Parts pixels(g.out_width, ROWS);
  bool allocated = true;
  parallel(pool, g.batch * bands, [&](Index task) {
    Index image = task / bands, first = task % bands * outputs, last = min(g.out_height, first + outputs);
    const float *input = x + image * g.height * g.width * g.channels;
    Index row = g.stride_height * g.width * g.channels, step = g.stride_width * g.channels;
    if (g.in_place) {
      input += first * row + group * g.depth;
    } else {
      row = g.stride_height * g.padded_width * g.depth, step = g.stride_width * g.depth;
      float *band = scratch(TASK, g.input_rows(outputs) * g.padded_width * g.depth);
      if (!band) {
        __atomic_store_n(&allocated, false, __ATOMIC_RELAXED);
        return;
      }
      copy_band(g, input, first, last - first, group * g.depth, g.depth, g.depth, band);
      input = band;
    }
    float bias[2 * LANES] = {};
    const TileEpilogue epilogue = y.tile_epilogue(bias), *active = epilogue.any() ? &epilogue : nullptr;
    for (Index q = 0; q < blocks(g.group_filters); q++) {
      Block columns = block(g.group_filters, q);
      const float *b = weights + columns.start * g.taps * g.inner;
      Index filter = group * g.group_filters + columns.start;
      if (epilogue.bias) copy(bias, y.epilogue.bias + filter, columns.count);
      for (Index i = first; i < last; i++)
        for (Index p = 0; p < pixels.count; p++) {
          Index j = pixels.begin(p), rows = pixels.begin(p + 1) - j;
          const float *a = input + (i - first) * row + j * step;
          float *to = y.at + image * y.image + i * y.row + j * y.pixel + filter;
          tile_for(rows, columns.width)(a, offsets, g.taps, g.inner, step, b, active, to, y.pixel, columns.count);
        }
    }
    y.finish(image * y.image + first * y.row + group * g.group_filters, last - first, g.out_width, g.group_filters);
  });
  return allocated;
}

// Pack a matrix by calling fill(block, row k, lanes) for each block of columns and each row; in parallel if that pays.
template <class Fill> void pack(const Pool &pool, Index columns, Index rows, float *to, const Fill &fill) {
  auto pack_block = [&](Index q) {
    Block b = block(columns, q);
    float *at = to + b.start * rows;
    for (Index k = 0; k < rows; k++, at += b.width) {
      fill(b, k, at);
      if (b.count < b.width) clear(at + b.count, b.width - b.count);
    }
  };
  if (columns * rows > SMALL_COPY)
    parallel(pool, blocks(columns), pack_block);
  else
    for (Index q = 0; q < blocks(columns); q++) pack_block(q);
}

// ----------------------------------------------------------------------------------------------------------- depthwise

// y[c] = the sum over entries of the kernel of x[.., c] w[.., c]: a vector of channels at a time, and several pixels at
// once so that no addition waits for the previous one. K adjacent entries of a kernel row share the loaded pixels.
constexpr int PIXELS = 6;
constexpr Index CHANNELS_AT_ONCE = 4 * LANES;  // the part of a row that these read stays in the L1 cache

template <int M, int K>
void depthwise_tile(const float *a, const Index *offsets, Index taps, Index step, const float *w, Index w_row,
                    const TileEpilogue *epilogue, float *y, Index pixel, Index count) {
  Vector sum[M][1] = {};
  for (Index t = 0; t < taps; t += K) {
    const float *from = a + offsets[t];
    Vector x[M + K - 1];
#pragma GCC unroll 16
    for (int i = 0; i < M + K - 1; i++) x[i] = load(from + i * step);
#pragma GCC unroll 8
    for (int k = 0; k < K; k++) {
      Vector factor = load(w + (t + k) * w_row);
#pragma GCC unroll 8
      for (int m = 0; m < M; m++) sum[m][0] += x[m + k] * factor;
    }
  }
  if (epilogue) apply(sum, *epilogue);
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) {
    if (count >= LANES)
      store(y + m * pixel, sum[m][0]);
    else
      store_partial(y + m * pixel, sum[m][0], count);
  }
}

typedef void (*DepthwiseTile)(const float *, const Index *, Index, Index, const float *, Index, const TileEpilogue *,
                              float *, Index, Index);
template <int K, int M = PIXELS> DepthwiseTile depthwise_tile_of(Index rows) {
  if constexpr (M == 0)
    return nullptr;
  else
    return rows == M ? &depthwise_tile<M, K> : depthwise_tile_of<K, M - 1>(rows);
}
DepthwiseTile depthwise_tile_for(const Geometry &g, Index rows) {
  if (g.stride_width == 1 && g.dilation_width == 1) {
    if (g.kernel_width == 3) return depthwise_tile_of<3>(rows);
    if (g.kernel_width == 5) return depthwise_tile_of<5>(rows);
  }
  return depthwise_tile_of<1>(rows);
}

// weight(t) points to the channels of kernel entry t.
template <class Weight>
bool depthwise(const Pool &pool, const Geometry &g, const float *x, const Weight &weight, Outputs y) {
  Index stored = round_up(g.channels, LANES), taps = g.kernel_height * g.kernel_width;
  float *weights = scratch(SHARED, (taps + 1) * stored);
  if (!weights) return false;
  float *bias = weights + taps * stored;
  auto pad = [&](const float *from, float *to) {
    copy(to, from, g.channels);
    clear(to + g.channels, stored - g.channels);
  };
  for (Index t = 0; t < taps; t++) pad(weight(t), weights + t * stored);
  if (y.epilogue.bias) pad(y.epilogue.bias, bias);
  Index outputs = outputs_per_band(g, stored, pool.threads), bands = ceil_div(g.out_height, outputs);
  Index *offsets = reinterpret_cast<Index *>(scratch(SHARED_2, 2 * taps));
  if (!offsets) return false;
  for (Index t = 0; t < taps; t++) {
    Index row = t / g.kernel_width, column = t % g.kernel_width;
    offsets[t] = (row * g.dilation_height * g.padded_width + column * g.dilation_width) * stored;
  }
  Parts pixels(g.out_width, PIXELS);
  bool allocated = true;
  parallel(pool, g.batch * bands, [&](Index task) {
    Index image = task / bands, first = task % bands * outputs, last = min(g.out_height, first + outputs);
    float *band = scratch(TASK, g.input_rows(outputs) * g.padded_width * stored);
    if (!band) {
      __atomic_store_n(&allocated, false, __ATOMIC_RELAXED);
      return;
    }
    copy_band(g, x + image * g.height * g.width * g.channels, first, last - first, 0, g.channels, stored, band);
    TileEpilogue epilogue = y.tile_epilogue(bias), *active = epilogue.any() ? &epilogue : nullptr;
    for (Index i = first; i < last; i++)
      for (Index chunk = 0; chunk < g.channels; chunk += CHANNELS_AT_ONCE)
        for (Index p = 0; p < pixels.count; p++) {
          Index j = pixels.begin(p);
          const float *a = band + ((i - first) * g.stride_height * g.padded_width + j * g.stride_width) * stored;
          float *to = y.at + image * y.image + i * y.row + j * y.pixel;
          DepthwiseTile tile = depthwise_tile_for(g, pixels.begin(p + 1) - j);
          for (Index c = chunk; c < min(g.channels, chunk + CHANNELS_AT_ONCE); c += LANES) {
            if (epilogue.bias) epilogue.bias = bias + c;
            tile(a + c, offsets, taps, g.stride_width * stored, weights + c, stored, active, to + c, y.pixel,
                 g.channels - c);
          }
        }
    y.finish(image * y.image + first * y.row, last - first, g.out_width, g.channels);
  });
  return allocated;
}

bool is_depthwise(const Convolution &c) { return c.groups > 1 && c.channels == c.groups && c.filters == c.groups; }

}  // namespace

// ------------------------------------------------------------------------------------------------------------- forward

bool convolve(const Pool &pool, const Convolution &c, const float *x, const float *weight, const Epilogue &epilogue,
              float *y) {
  if (winograd(pool, c, x, {weight, c.channels * c.filters, c.filters, 1}, epilogue, y)) return true;
  Geometry g(c);
  Outputs to = {y, c.out_height * c.out_width * c.filters, c.out_width * c.filters, c.filters, epilogue};
  if (is_depthwise(c)) return depthwise(pool, g, x, [&](Index t) { return weight + t * c.channels; }, to);
  float *weights = scratch(SHARED, packed(g.group_filters, g.taps * g.inner));
  if (!weights) return false;
  for (Index group = 0; group < c.groups; group++) {
    pack(pool, g.group_filters, g.taps * g.inner, weights, [&](const Block &b, Index k, float *at) {
      copy(at, weight + k * c.filters + group * g.group_filters + b.start, b.count);
    });
    if (!product(pool, g, x, group, weights, to)) return false;
  }
  return true;
}

// ------------------------------------------------------------------------------------------------ gradient by the data

namespace {

// Along one axis, the inputs residue, residue + stride, ... meet only every `step`th entry of the kernel, beginning
// with `first`; the delta of each of these entries is `dilation` places before that of the previous one. For the inputs
// of one class, dx is therefore a convolution of dy with stride 1, with these entries of the kernel in reverse order.
struct ResidueClass {
  Index outputs, entries, first, step, dilation, padding;
  ResidueClass(Index residue, Index length, Index kernel, Index stride, Index dilation, Index padding) {
    Index common = stride, rest = dilation;
    while (rest) {
      Index next = common % rest;
      common = rest, rest = next;
    }
    outputs = ceil_div(length - residue, stride);
    step = stride / common;
    this->dilation = dilation / common;
    first = 0;
    while (first < step && (residue + padding - first * dilation) % stride) first++;
    entries = first < step && first < kernel ? ceil_div(kernel - first, step) : 0;
    Index last = first + (entries - 1) * step;  // the first in reverse order
    this->padding = entries ? -((residue + padding - last * dilation) / stride) : 0;
  }
  Index entry(Index i) const { return first + (entries - 1 - i) * step; }
};

bool class_gradient(const Pool &pool, const Convolution &c, const float *dy, const float *weight,
                    const ResidueClass &down, const ResidueClass &across, Outputs dx) {
  Convolution back = {c.batch,        c.out_height,    c.out_width,  c.filters, down.outputs,  across.outputs,
                      c.channels,     down.entries,    across.entries, 1,       1,             down.dilation,
                      across.dilation, down.padding,   across.padding, c.groups};
  Index entry_floats = c.channels * c.filters;  // reversed, with inputs and outputs swapped
  if (c.stride_height == 1 && c.stride_width == 1 &&
      winograd(pool, back, dy, {weight + 8 * entry_floats, -entry_floats, 1, c.filters}, dx.epilogue, dx.at))
    return true;
  Geometry g(back);
  auto entry = [&](Index t) { return down.entry(t / across.entries) * c.kernel_width + across.entry(t % across.entries); };
  Index entries = down.entries * across.entries;
  if (is_depthwise(c)) return depthwise(pool, g, dy, [&](Index t) { return weight + entry(t) * c.channels; }, dx);
  Index out = g.depth, in = g.group_filters;  // filters and channels per group, with their roles swapped
  float *weights = scratch(SHARED, packed(in, entries * out));
  if (!weights) return false;
  for (Index group = 0; group < c.groups; group++) {
    pack(pool, in, entries * out, weights, [&](const Block &b, Index k, float *at) {
      const float *from = weight + (entry(k / out) * in + b.start) * c.filters + group * out + k % out;
      for (Index i = 0; i < b.count; i++) at[i] = from[i * c.filters];
    });
    if (!product(pool, g, dy, group, weights, dx)) return false;
  }
  return true;
}

}  // namespace

bool data_gradient(const Pool &pool, const Convolution &c, const float *dy, const float *weight, float *dx) {
  Index image = c.height * c.width * c.channels;
  for (Index a = 0; a < min(c.stride_height, c.height); a++)
    for (Index b = 0; b < min(c.stride_width, c.width); b++) {
      ResidueClass down(a, c.height, c.kernel_height, c.stride_height, c.dilation_height, c.pad_top);
      ResidueClass across(b, c.width, c.kernel_width, c.stride_width, c.dilation_width, c.pad_left);
      Outputs to = {dx + (a * c.width + b) * c.channels, image, c.stride_height * c.width * c.channels,
                    c.stride_width * c.channels};
      if (down.entries && across.entries) {
        if (!class_gradient(pool, c, dy, weight, down, across, to)) return false;
        continue;
      }
      for (Index n = 0; n < c.batch; n++)  // no window covers these
        for (Index i = 0; i < down.outputs; i++)
          for (Index j = 0; j < across.outputs; j++)
            clear(to.at + n * to.image + i * to.row + j * to.pixel, c.channels);
    }
  return true;
}

// --------------------------------------------------------------------------------------------- gradient by the weights

namespace {

// The pixels of one work item, some rows of some images; x and dy are read in place through strides.
struct Pixels {
  Index images, rows, columns;
  const float *x;
  Index x_image, x_row, x_pixel;
  const float *dy;
  Index dy_image, dy_row, dy_pixel;
};

// dweight[m][..] += the sum over pixels of x[pixel][m] * dy[pixel][..], for M entries and N vectors of filters.
template <class V, int M, int N> void gradient_tile(const Pixels &p, Index x, Index dy, float *dweight, Index row) {
  constexpr int L = lanes<V>();
  V sum[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) sum[m][n] = load<V>(dweight + m * row + n * L);
  for (Index image = 0; image < p.images; image++)
    for (Index i = 0; i < p.rows; i++) {
      const float *a = p.x + image * p.x_image + i * p.x_row + x, *b = p.dy + image * p.dy_image + i * p.dy_row + dy;
      for (Index j = 0; j < p.columns; j++, a += p.x_pixel, b += p.dy_pixel) {
        V d[N];
#pragma GCC unroll 2
        for (int n = 0; n < N; n++) d[n] = load<V>(b + n * L);
#pragma GCC unroll 16
        for (int m = 0; m < M; m++) {
          V factor = splat<V>(a[m]);
#pragma GCC unroll 2
          for (int n = 0; n < N; n++) sum[m][n] += factor * d[n];
        }
      }
    }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) store(dweight + m * row + n * L, sum[m][n]);
}

typedef void (*GradientTile)(const Pixels &, Index, Index, float *, Index);
template <class V, int N, int M = ROWS> GradientTile gradient_tile_of(Index rows) {
  if constexpr (M == 0)
    return nullptr;
  else
    return rows == M ? &gradient_tile<V, M, N> : gradient_tile_of<V, N, M - 1>(rows);
}
GradientTile gradient_tile_for(Index rows, Index width) {
  if (width == 2 * LANES) return gradient_tile_of<Vector, 2>(rows);
  return width == LANES ? gradient_tile_of<Vector, 1>(rows) : gradient_tile_of<HalfVector, 1>(rows);
}

// Depthwise: dweight[entry][c] += the sum over pixels of x[.., c] dy[.., c], for M entries of the kernel at once.
template <int M> void depthwise_gradient_tile(const Pixels &p, const Index *offsets, Index c, float *dweight, Index row) {
  Vector sum[M];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) sum[m] = load(dweight + m * row + c);
  for (Index image = 0; image < p.images; image++)
    for (Index i = 0; i < p.rows; i++) {
      const float *a = p.x + image * p.x_image + i * p.x_row + c, *b = p.dy + image * p.dy_image + i * p.dy_row + c;
      for (Index j = 0; j < p.columns; j++, a += p.x_pixel, b += p.dy_pixel) {
        Vector d = load(b);
#pragma GCC unroll 16
        for (int m = 0; m < M; m++) sum[m] += load(a + offsets[m]) * d;
      }
    }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) store(dweight + m * row + c, sum[m]);
}

typedef void (*DepthwiseGradientTile)(const Pixels &, const Index *, Index, float *, Index);
constexpr int ENTRIES = LANES == 4 ? 7 : 9;  // a whole 3 x 3 kernel at once, if there are enough registers
template <int M = ENTRIES> DepthwiseGradientTile depthwise_gradient_tile_of(Index rows) {
  if constexpr (M == 0)
    return nullptr;
  else
    return rows == M ? &depthwise_gradient_tile<M> : depthwise_gradient_tile_of<M - 1>(rows);
}

// How the pixels are divided into work items: bands of rows, or several small images.
struct WorkItems {
  Index outputs, bands, images, items;
  WorkItems(const Geometry &g, Index x_depth, Index dy_depth, Index threads) {
    Index row_floats = max(1, g.padded_width * x_depth * g.stride_height + g.out_width * dy_depth);
    outputs = max(1, min(g.out_height, GRADIENT_BAND_FLOATS / row_floats));
    bands = ceil_div(g.out_height, outputs);
    Index whole = g.input_rows(outputs) * g.padded_width * x_depth + g.out_height * g.out_width * dy_depth;
    Index by_threads = ceil_div(g.batch, threads);
    images = bands > 1 ? 1 : max(1, min(by_threads, GRADIENT_BAND_FLOATS / max(1, whole)));
    items = ceil_div(g.batch, images) * bands;
  }
};

// One group's sums over the pixels of items begin .. end, added to sum [taps][inner][padded].
struct GradientTask {
  const Geometry &g;
  const WorkItems &work;
  const float *x, *dy;
  Index group, padded;  // filters per group, or channels of a depthwise kernel, padded to whole blocks
  bool by_channel;      // depthwise

  bool run(Index begin, Index end, float *sum) const {
    Index depth = by_channel ? g.channels : g.depth, x_stored = by_channel ? padded : depth;
    Index columns = by_channel ? g.channels : g.group_filters;
    Index x_image = g.input_rows(work.outputs) * g.padded_width * x_stored;
    Index image_x = g.height * g.width * g.channels, row_x = g.stride_height * g.width * g.channels;
    Index dy_image = work.outputs * g.out_width * padded;
    bool whole = columns == padded;  // whole vectors of filters are read where they are
    float *band = g.in_place ? nullptr : scratch(TASK, work.images * x_image);
    float *deltas = whole ? nullptr : scratch(TASK_2, work.images * dy_image);
    if ((!g.in_place && !band) || (!whole && !deltas)) return false;
    for (Index item = begin; item < end; item++) {
      Index first_image = item / work.bands * work.images, images = min(g.batch - first_image, work.images);
      Index first = item % work.bands * work.outputs, rows = min(g.out_height - first, work.outputs);
      const float *from = dy + (first_image * g.out_height + first) * g.out_width * g.filters + group * g.group_filters;
      Index image_floats = g.out_height * g.out_width * g.filters;
      for (Index n = 0; n < images; n++) {
        if (!g.in_place)
          copy_band(g, x + (first_image + n) * image_x, first, rows, by_channel ? 0 : group * g.depth, depth, x_stored,
                    band + n * x_image);
        if (whole) continue;
        for (Index p = 0; p < rows * g.out_width; p++) {
          float *to = deltas + n * dy_image + p * padded;
          copy(to, from + n * image_floats + p * g.filters, columns);
          clear(to + columns, padded - columns);
        }
      }
      Pixels pixels = {images, rows, g.out_width, band, x_image, g.stride_height * g.padded_width * x_stored,
                       g.stride_width * x_stored, from, image_floats, g.out_width * g.filters, g.filters};
      if (g.in_place)
        pixels.x = x + first_image * image_x + first * row_x + group * g.depth, pixels.x_image = image_x,
        pixels.x_row = row_x, pixels.x_pixel = g.stride_width * g.channels;
      if (!whole) pixels.dy = deltas, pixels.dy_image = dy_image, pixels.dy_row = g.out_width * padded,
                   pixels.dy_pixel = padded;
      by_channel ? add_by_channel(pixels, sum) : add(pixels, sum);
    }
    return true;
  }

  void add(const Pixels &pixels, float *sum) const {
    Parts entries(g.inner, ROWS);
    for (Index tap = 0; tap < g.taps; tap++)
      for (Index q = 0; q < blocks(g.group_filters); q++) {
        Block columns = block(g.group_filters, q);
        for (Index p = 0; p < entries.count; p++) {
          Index k = entries.begin(p), rows = entries.begin(p + 1) - k;
          gradient_tile_for(rows, columns.width)(pixels, g.offset(tap, g.depth) + k, columns.start,
                                                 sum + (tap * g.inner + k) * padded + columns.start, padded);
        }
      }
  }

  void add_by_channel(const Pixels &pixels, float *sum) const {
    Index taps = g.kernel_height * g.kernel_width;
    Parts entries(taps, ENTRIES);
    for (Index c = 0; c < g.channels; c += LANES)
      for (Index p = 0; p < entries.count; p++) {
        Index offsets[ENTRIES], begin = entries.begin(p), count = entries.begin(p + 1) - begin;
        for (Index t = 0; t < count; t++) {
          Index row = (begin + t) / g.kernel_width, column = (begin + t) % g.kernel_width;
          offsets[t] = (row * g.dilation_height * g.padded_width + column * g.dilation_width) * padded;
        }
        depthwise_gradient_tile_of(count)(pixels, offsets, c, sum + begin * padded, padded);
      }
  }
};

}  // namespace

// Each thread accumulates a fixed share of the pixels, and the shares are added in a fixed order: for a given number of
// threads every run computes the same bits.
bool weight_gradient(const Pool &pool, const Convolution &c, const float *x, const float *dy, float *dweight) {
  if (winograd_weight_gradient(pool, c, x, dy, dweight)) return true;
  Geometry g(c);
  bool by_channel = is_depthwise(c);
  Index columns = by_channel ? c.channels : g.group_filters, groups = by_channel ? 1 : c.groups;
  Index last = blocks(columns) - 1;
  Index padded = by_channel ? round_up(columns, LANES) : block(columns, last).start + block(columns, last).width;
  Index rows = by_channel ? c.kernel_height * c.kernel_width : g.taps * g.inner;
  WorkItems work(g, by_channel ? padded : g.depth, padded, pool.threads);
  Index shares = max(1, min(pool.threads, work.items));
  float *sums = scratch(SHARED, shares * rows * padded);
  if (!sums) return false;
  bool allocated = true;
  for (Index group = 0; group < groups; group++) {
    GradientTask task = {g, work, x, dy, group, padded, by_channel};
    parallel(pool, shares, [&](Index share) {
      float *sum = sums + share * rows * padded;
      clear(sum, rows * padded);
      if (!task.run(work.items * share / shares, work.items * (share + 1) / shares, sum))
        __atomic_store_n(&allocated, false, __ATOMIC_RELAXED);
    });
    auto reduce = [&](Index k) {
      float *to = dweight + k * c.filters + group * columns;
      copy(to, sums + k * padded, columns);
      for (Index share = 1; share < shares; share++)
        for (Index i = 0; i < columns; i++) to[i] += sums[(share * rows + k) * padded + i];
    };
    Index portion = rows * columns > SMALL_COPY ? ceil_div(rows, pool.threads * TASKS_PER_THREAD) : rows;
    parallel(pool, ceil_div(rows, portion), [&](Index part) {
      for (Index k = part * portion; k < min(rows, (part + 1) * portion); k++) reduce(k);
    });
  }
  return allocated;
}

}  // namespace VARIANT
}  // namespace retrograd
