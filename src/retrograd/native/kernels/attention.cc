// Multi-head attention, forward and backward, reading the projections and writing their gradients in place: nothing is
// transposed in memory, and only a few rows of the weights, queries x keys, exist at a time. The forward pass saves two
// numbers per row, the largest score and the reciprocal of the sum of exponentials, from which the backward pass
// recomputes the same weights.
//
// A task is one head of keys and values of one example, with all query heads that share it.
//
// NaN and infinity: XLA's formula multiplies the values of hidden keys by 0, which gives NaN if a value is not finite.
// So do these loops, except for keys in a query's future, which they skip. If a number is not finite, they therefore
// skip only what the formula skips: it splits the queries into a few blocks (Attention::block), each of which sees the
// keys up to that of its last query.
#include "functions.h"
#include "product.h"

namespace retrograd {
namespace VARIANT {
namespace {

constexpr Index PARTS = 4;  // of ROWS queries each, which share a block of keys while it is in the L1 cache

// A matrix packed in blocks of columns, [block of 2 vectors][row][lane]; the last block may be one vector wide.
struct Packed {
  float *at;
  Index rows, columns;
  INLINE Index blocks() const { return ceil_div(columns, WIDE); }
  INLINE Index count(Index block) const { return min(WIDE, columns - block * WIDE); }
  INLINE Index width(Index block) const { return count(block) > LANES ? WIDE : LANES; }
  INLINE float *block(Index number) const { return at + number * WIDE * rows; }
};

// Pack from[i][0 .. columns) for i < rows.
void pack(const float *from, Index row, const Packed &to) {
  for (Index n = 0; n < to.blocks(); n++)
    pack_columns(from + n * WIDE, row, to.rows, to.count(n), to.width(n), to.block(n));
}

typedef float Four __attribute__((vector_size(4 * sizeof(float))));
#ifdef __clang__
#define SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t FourIntegers __attribute__((vector_size(4 * sizeof(float))));
#define SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, FourIntegers{i, j, k, l})
#endif

// Pack the transpose of from[i][0 .. rows) for i < columns, in 4 x 4 squares: loads and stores move whole vectors.
void pack_transposed(const float *from, Index row, const Packed &to) {
  for (Index n = 0; n < to.blocks(); n++) {
    Index width = to.width(n), count = to.count(n), whole_columns = count / 4 * 4, whole_rows = to.rows / 4 * 4;
    float *at = to.block(n);
    const float *source = from + n * WIDE * row;
    for (Index i = 0; i < whole_columns; i += 4)
      for (Index k = 0; k < whole_rows; k += 4) {
        const float *p = source + i * row + k;
        Four a = load<Four>(p), b = load<Four>(p + row), c = load<Four>(p + 2 * row), d = load<Four>(p + 3 * row);
        Four ab = SHUFFLE(a, b, 0, 4, 1, 5), cd = SHUFFLE(c, d, 0, 4, 1, 5);
        Four last_ab = SHUFFLE(a, b, 2, 6, 3, 7), last_cd = SHUFFLE(c, d, 2, 6, 3, 7);
        float *q = at + k * width + i;
        store(q, SHUFFLE(ab, cd, 0, 1, 4, 5)), store(q + width, SHUFFLE(ab, cd, 2, 3, 6, 7));
        store(q + 2 * width, SHUFFLE(last_ab, last_cd, 0, 1, 4, 5));
        store(q + 3 * width, SHUFFLE(last_ab, last_cd, 2, 3, 6, 7));
      }
    for (Index k = 0; k < to.rows; k++)
      for (Index i = k < whole_rows ? whole_columns : 0; i < width; i++)
        at[k * width + i] = i < count ? source[i * row + k] : 0.0f;
  }
}

void copy_rows(const float *from, Index row, Index rows, Index columns, float factor, float *to, Index to_row) {
  for (Index i = 0; i < rows; i++, from += row, to += to_row)
    for (Index c = 0; c < columns; c += LANES) put(to + c, get(from + c, columns - c) * factor, columns - c);
}

bool is_finite(const float *from, Index row, Index rows, Index columns) {
  Vector sum = {};
  for (Index i = 0; i < rows; i++, from += row)
    for (Index c = 0; c < columns; c += LANES) {
      Vector x = get(from + c, columns - c);
      sum += x - x;  // 0, or NaN from here on
    }
  float total = 0;
  for (int lane = 0; lane < LANES; lane++) total += sum[lane];
  return total == 0;
}

INLINE float sum_of(Vector v) {
  float lanes[LANES];
  store(lanes, v);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
}
INLINE float largest_of(Vector v) {
  float lanes[LANES];
  store(lanes, v);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] = lanes[i] < lanes[i + half] ? lanes[i + half] : lanes[i];
  return lanes[0];
}

// --------------------------------------------------------------------------------------------------------- the weights

// One head of keys and values of one example, and what a query may see of it.
struct Head {
  const Attention &a;
  Index batch, kv_head;
  bool masked, skips_future;  // whether there is a mask; whether future keys are skipped
  const float *visible;       // per key, padded with zeros: not 0 if the key may be seen
  Index stride;               // floats from one query's weights to the next one's

  Index group_size() const { return a.heads / a.kv_heads; }
  float scale() const { return 1.0f / __builtin_sqrtf(float(a.width)); }
  template <class Float> Float *of(Columns<Float> columns, Index time, Index head) const {
    return columns.at + batch * time * columns.row + head * a.width;
  }
  template <class Float> Columns<Float> all_heads(Float *y) const { return {y, a.heads * a.width}; }
};

Index weights_stride(const Attention &a) { return round_up(a.keys, WIDE) + WIDE; }

void fill_visible(const Attention &a, const float *mask, Index batch, float *visible) {
  clear(visible, weights_stride(a));
  for (Index j = 0; j < a.keys; j++) visible[j] = mask ? mask[batch * a.keys + j] : 1.0f;
}

// A range of queries of one head, in parts of at most ROWS.
struct Queries {
  const Head &h;
  Index begin, keys_seen;  // the first query; the number of keys multiplied, including those of weight 0
  Parts parts;
  Index from, to;  // range of parts
  Index first(Index part) const { return parts.begin(part) - parts.begin(from); }  // relative to the range
  Index count() const { return first(to); }
  Index extent(Index part) const {  // number of keys for which a part's weights are computed
    return h.skips_future ? min(h.a.keys, begin + parts.begin(part + 1)) : keys_seen;
  }
  Index start() const { return begin + parts.begin(from); }
  Index limit(Index row) const { return h.a.causal ? min(h.a.keys, start() + row + 1) : h.a.keys; }
};

template <class Work> void for_query_ranges(const Head &h, const Work &work) {
  Index block = h.skips_future ? h.a.queries : h.a.block;
  for (Index begin = 0; begin < h.a.queries; begin += block) {
    Index end = min(begin + block, h.a.queries);
    Parts parts(end - begin, ROWS);
    for (Index from = 0; from < parts.count; from += PARTS)
      work(Queries{h, begin, h.a.causal ? min(end, h.a.keys) : h.a.keys, parts, from,
                   min(from + PARTS, parts.count)});
  }
}
Index max_queries(const Attention &a) { return min(a.queries, PARTS * ROWS); }

// to[query][key] = rows . columns, up to the extent of each part; rows [query][k], columns [k][key].
void dot_products(const Queries &q, const float *rows, const Packed &columns, float *to) {
  Index width = q.h.a.width, stride = q.h.stride;
  for (Index n = 0; n < columns.blocks(); n++)
    for (Index p = q.from; p < q.to; p++)
      if (n * WIDE < q.extent(p))
        product_tile<false>(q.first(p + 1) - q.first(p), columns.count(n))(
            rows + q.first(p) * width, width, columns.block(n), width, to + q.first(p) * stride + n * WIDE, stride);
}

// to[query][k] = the sum over keys of weights[query][key] * values[key][k]
void weighted_sums(const Queries &q, const float *weights, const Packed &values, float *to, Index to_row) {
  Index stride = q.h.stride;
  for (Index n = 0; n < values.blocks(); n++)
    for (Index p = q.from; p < q.to; p++)
      product_tile<false>(q.first(p + 1) - q.first(p), values.count(n))(
          weights + q.first(p) * stride, stride, values.block(n), q.extent(p), to + q.first(p) * to_row + n * WIDE,
          to_row);
}

// to[key][k] += the sum over queries of weights[query][key] * rows[query][k]. Parts whose queries see none of the keys
// are skipped; those that see only some of them have zeros for the others.
void add_transposed(const Queries &q, const float *weights, const Packed &rows, float *to, Index to_row) {
  Index stride = q.h.stride;
  Parts keys(q.extent(q.to - 1), ROWS);
  for (Index j = 0, p = q.from; j < keys.count; j++) {
    while (q.extent(p) <= keys.begin(j)) p++;
    Index first = q.first(p);
    for (Index n = 0; n < rows.blocks(); n++)
      product_tile<true>(keys.begin(j + 1) - keys.begin(j), rows.count(n))(
          weights + first * stride + keys.begin(j), stride, rows.block(n) + first * rows.width(n), q.count() - first,
          to + keys.begin(j) * to_row + n * WIDE, to_row);
  }
}

INLINE Integers lane_numbers() {
  Integers numbers;
  for (int lane = 0; lane < LANES; lane++) numbers[lane] = lane;
  return numbers;
}

// Scores of hidden keys become minus infinity.
INLINE Vector visible_scores(const Head &h, const float *scores, Index key, Index limit) {
  Integers remaining = Integers{} + int32_t(limit - key);
  Integers shown = (lane_numbers() < remaining) & (load(h.visible + key) != Vector{});
  return shown ? load(scores + key) : splat(-__builtin_inff());
}

// Turn scores into weights, in place. The two statistics of a row follow the formula: a row that sees no key has sum 0
// and weights 0; NaN or plus infinity among the scores makes the sum NaN, and with it all weights of the row.
void softmax(const Queries &q, float *scores, float *statistics) {
  const Head &h = q.h;
  bool hides_keys = h.masked || h.a.causal;
  for (Index p = q.from; p < q.to; p++) {
    // Each step covers all rows of a part before the next begins: nothing waits for the sum over a row's lanes.
    Index first = q.first(p), rows = q.first(p + 1) - first, extent = q.extent(p);
    float shifts[ROWS], inverses[ROWS];
    for (Index row = 0; row < rows; row++) {
      float *s = scores + (first + row) * h.stride;
      Index limit = q.limit(first + row);
      Vector largest = splat(-__builtin_inff());
      for (Index j = 0; j < extent; j += LANES) {
        Vector x = visible_scores(h, s, j, limit);
        largest = largest < x ? x : largest;
        store(s + j, x);
      }
      float shift = largest_of(largest);
      shifts[row] = hides_keys && shift == -__builtin_inff() ? 0.0f : shift;
    }
    for (Index row = 0; row < rows; row++) {
      float *s = scores + (first + row) * h.stride;
      Vector sum = {};
      for (Index j = 0; j < extent; j += LANES) {
        Vector e = exp_of_negative(load(s + j) - shifts[row]);
        sum += e;
        store(s + j, e);
      }
      float total = sum_of(sum);
      inverses[row] = 1.0f / (hides_keys && total == 0 ? 1.0f : total);
    }
    for (Index row = 0; row < rows; row++) {
      float *s = scores + (first + row) * h.stride;
      for (Index j = 0; j < extent; j += LANES) store(s + j, load(s + j) * inverses[row]);
      statistics[2 * (first + row)] = shifts[row], statistics[2 * (first + row) + 1] = inverses[row];
    }
  }
}

// Recompute the weights, and turn the deltas of the weights into those of the scores, both in place. `dots` are dy . y.
void softmax_backward(const Queries &q, float *scores, float *deltas, const float *statistics, const float *dots) {
  const Head &h = q.h;
  for (Index p = q.from; p < q.to; p++)
    for (Index row = q.first(p); row < q.first(p + 1); row++) {
      float *s = scores + row * h.stride, *d = deltas + row * h.stride;
      Index extent = q.extent(p), limit = q.limit(row), clear_count = min(h.stride, extent + ROWS);
      float shift = statistics[2 * row], inverse = statistics[2 * row + 1];
      for (Index j = 0; j < extent; j += LANES) {
        Vector weight = exp_of_negative(visible_scores(h, s, j, limit) - shift) * inverse;
        store(d + j, weight * (load(d + j) - dots[row]));
        store(s + j, weight);
      }
      clear(s + extent, clear_count - extent), clear(d + extent, clear_count - extent);
    }
}

// Offsets in one block of scratch memory.
struct Layout {
  Index floats = 0;
  Index reserve(Index count) {
    Index at = floats;
    floats += round_up(count, 16);
    return at;
  }
  Index packed(Index rows, Index columns) { return reserve(round_up(columns, WIDE) * rows); }
};

template <class Work> bool for_each_head(const Pool &pool, const Attention &a, Index floats, const Work &work) {
  bool allocated = true;
  parallel(pool, a.batch * a.kv_heads, [&](Index i) {
    float *memory = scratch(TASK, floats);
    if (memory)
      work(i / a.kv_heads, i % a.kv_heads, memory);
    else
      __atomic_store_n(&allocated, false, __ATOMIC_RELAXED);
  });
  return allocated;
}

}  // namespace

bool attend(const Pool &pool, const Attention &a, Input q, Input k, Input v, const float *mask, float *y,
            float *statistics) {
  Layout layout;
  Index max_rows = max_queries(a), padded = round_up(a.width, WIDE), stride = weights_stride(a);
  Index weights = layout.reserve(max_rows * stride), visible = layout.reserve(stride);
  Index keys = layout.packed(a.width, a.keys), values = layout.packed(a.keys, a.width);
  Index rows = layout.reserve(max_rows * a.width), means = layout.reserve(max_rows * padded);
  return for_each_head(pool, a, layout.floats, [&](Index batch, Index kv_head, float *memory) {
    Head h = {a, batch, kv_head, mask != nullptr, false, memory + visible, stride};
    const float *value = h.of(v, a.keys, kv_head);
    h.skips_future = a.causal && is_finite(value, v.row, a.keys, a.width);
    fill_visible(a, mask, batch, memory + visible);
    Packed columns = {memory + keys, a.width, a.keys}, packed = {memory + values, a.keys, a.width};
    pack_transposed(h.of(k, a.keys, kv_head), k.row, columns);
    pack(value, v.row, packed);
    for (Index head = kv_head * h.group_size(); head < (kv_head + 1) * h.group_size(); head++)
      for_query_ranges(h, [&](const Queries &range) {
        float *s = memory + weights, *mean = memory + means;
        auto y_columns = h.all_heads(y);
        float *out = h.of(y_columns, a.queries, head) + range.start() * y_columns.row;
        copy_rows(h.of(q, a.queries, head) + range.start() * q.row, q.row, range.count(), a.width, h.scale(),
                  memory + rows, a.width);
        dot_products(range, memory + rows, columns, s);
        softmax(range, s, statistics + 2 * ((batch * a.heads + head) * a.queries + range.start()));
        weighted_sums(range, s, packed, mean, padded);
        copy_rows(mean, padded, range.count(), a.width, 1, out, y_columns.row);
      });
  });
}

namespace {

// dots[row] = dy . y
void row_dots(const float *dy, const float *y, Index row, Index rows, Index width, float *dots) {
  for (Index i = 0; i < rows; i++, dy += row, y += row) {
    Vector sum = {};
    for (Index c = 0; c < width; c += LANES) sum += get(dy + c, width - c) * get(y + c, width - c);
    dots[i] = sum_of(sum);
  }
}

bool all_finite(const Head &h, Input q, Input k, Input v, Input y, Input dy, const float *statistics) {
  const Attention &a = h.a;
  Index first = h.kv_head * h.group_size(), width = h.group_size() * a.width;  // the heads of a group are side by side
  return is_finite(h.of(k, a.keys, h.kv_head), k.row, a.keys, a.width) &&
         is_finite(h.of(v, a.keys, h.kv_head), v.row, a.keys, a.width) &&
         is_finite(h.of(q, a.queries, first), q.row, a.queries, width) &&
         is_finite(h.of(y, a.queries, first), y.row, a.queries, width) &&
         is_finite(h.of(dy, a.queries, first), dy.row, a.queries, width) &&
         is_finite(statistics + 2 * (h.batch * a.heads + first) * a.queries, 0, 1, 2 * h.group_size() * a.queries);
}

}  // namespace

// ds = a (dy . v - dy . y), dq = ds k / sqrt(width), dk = dsᵀ q, dv = aᵀ dy
bool attend_back(const Pool &pool, const Attention &a, Input q, Input k, Input v, const float *mask, const float *y,
                 const float *statistics, const float *dy, Columns<float> dq, Columns<float> dk, Columns<float> dv) {
  Layout layout;
  Index max_rows = max_queries(a), padded = round_up(a.width, WIDE), stride = weights_stride(a);
  Index weights = layout.reserve(max_rows * stride), deltas = layout.reserve(max_rows * stride);
  Index visible = layout.reserve(stride), dots = layout.reserve(max_rows);
  Index keys = layout.packed(a.width, a.keys), values = layout.packed(a.width, a.keys);
  Index key_rows = layout.packed(a.keys, a.width), sums = layout.reserve(2 * a.keys * padded);
  Index rows = layout.reserve(max_rows * a.width), packed_rows = layout.packed(max_rows, a.width);
  Index means = layout.reserve(max_rows * padded);
  return for_each_head(pool, a, layout.floats, [&](Index batch, Index kv_head, float *memory) {
    Head h = {a, batch, kv_head, mask != nullptr, false, memory + visible, stride};
    Input y_columns = h.all_heads(y), dy_columns = h.all_heads(dy);
    h.skips_future = a.causal && all_finite(h, q, k, v, y_columns, dy_columns, statistics);
    fill_visible(a, mask, batch, memory + visible);
    Packed k_columns = {memory + keys, a.width, a.keys}, v_columns = {memory + values, a.width, a.keys};
    Packed k_rows = {memory + key_rows, a.keys, a.width};
    pack_transposed(h.of(k, a.keys, kv_head), k.row, k_columns);
    pack_transposed(h.of(v, a.keys, kv_head), v.row, v_columns);
    pack(h.of(k, a.keys, kv_head), k.row, k_rows);
    float *dk_sum = memory + sums, *dv_sum = dk_sum + a.keys * padded, *row = memory + rows;
    clear(dk_sum, 2 * a.keys * padded);
    for (Index head = kv_head * h.group_size(); head < (kv_head + 1) * h.group_size(); head++)
      for_query_ranges(h, [&](const Queries &range) {
        float *s = memory + weights, *d = memory + deltas, *mean = memory + means;
        Index start = range.start(), count = range.count();
        Packed packed_block = {memory + packed_rows, count, a.width};
        const float *y_block = h.of(y_columns, a.queries, head) + start * y_columns.row;
        const float *dy_block = h.of(dy_columns, a.queries, head) + start * dy_columns.row;
        row_dots(dy_block, y_block, y_columns.row, count, a.width, memory + dots);
        copy_rows(dy_block, dy_columns.row, count, a.width, 1, row, a.width);
        dot_products(range, row, v_columns, d);
        pack(row, a.width, packed_block);
        const float *q_block = h.of(q, a.queries, head) + start * q.row;
        copy_rows(q_block, q.row, count, a.width, h.scale(), row, a.width);
        dot_products(range, row, k_columns, s);
        softmax_backward(range, s, d, statistics + 2 * ((batch * a.heads + head) * a.queries + start), memory + dots);
        add_transposed(range, s, packed_block, dv_sum, padded);
        pack(row, a.width, packed_block);
        add_transposed(range, d, packed_block, dk_sum, padded);
        weighted_sums(range, d, k_rows, mean, padded);
        copy_rows(mean, padded, count, a.width, h.scale(), h.of(dq, a.queries, head) + start * dq.row, dq.row);
      });
    copy_rows(dk_sum, padded, a.keys, a.width, 1, h.of(dk, a.keys, kv_head), dk.row);
    copy_rows(dv_sum, padded, a.keys, a.width, 1, h.of(dv, a.keys, kv_head), dv.row);
  });
}

}  // namespace VARIANT
}  // namespace retrograd
