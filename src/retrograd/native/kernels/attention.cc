// Attention of many heads, forward and back, straight from the projections and back into theirs: nothing is transposed
// in memory, and of the weights, queries x keys, only some rows are held at a time. Forward keeps two numbers a row, the
// largest score and one over the sum of exponentials, from which backward computes the same weights again.
//
// A thread takes one head of keys and values of one example, and the heads of queries that share it.
//
// NaN and infinity: XLA's formula multiplies the values of keys that a query may not see by 0, which is NaN where a value
// is not finite. So do these loops, but for keys in a query's future, which they skip. Where something is not finite
// they therefore skip only what the formula skips: it cuts queries into a few blocks (Attention::block), each of which
// sees the keys up to its last query's.
#include "functions.h"
#include "product.h"

namespace retrograd {
namespace VARIANT {
namespace {

constexpr Index PARTS = 4;       // of ROWS queries: so many use a block of keys while it lies in the first level cache

// A matrix with its columns in blocks: [block of 2 vectors of columns][row][lane]; the last block may be one vector wide.
struct Packed {
  float *at;
  Index rows, columns;
  INLINE Index blocks() const { return ratio_up(columns, WIDE); }
  INLINE Index count(Index block) const { return smaller(WIDE, columns - block * WIDE); }
  INLINE Index width(Index block) const { return count(block) > LANES ? WIDE : LANES; }
  INLINE float *block(Index number) const { return at + number * WIDE * rows; }
};

// from[i][0 .. columns), i below rows
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

// The transpose of from[i][0 .. rows), i below columns: in squares of 4 x 4, so that both sides move whole vectors.
void pack_transposed(const float *from, Index row, const Packed &to) {
  for (Index n = 0; n < to.blocks(); n++) {
    Index width = to.width(n), count = to.count(n), whole = count / 4 * 4, deep = to.rows / 4 * 4;
    float *at = to.block(n);
    const float *source = from + n * WIDE * row;
    for (Index i = 0; i < whole; i += 4)
      for (Index k = 0; k < deep; k += 4) {
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
      for (Index i = k < deep ? whole : 0; i < width; i++) at[k * width + i] = i < count ? source[i * row + k] : 0.0f;
  }
}

void copy_rows(const float *from, Index row, Index rows, Index columns, float factor, float *to, Index to_row) {
  for (Index i = 0; i < rows; i++, from += row, to += to_row)
    for (Index c = 0; c < columns; c += LANES) put(to + c, get(from + c, columns - c) * factor, columns - c);
}

bool finite(const float *from, Index row, Index rows, Index columns) {
  Vector sum = {};
  for (Index i = 0; i < rows; i++, from += row)
    for (Index c = 0; c < columns; c += LANES) {
      Vector x = get(from + c, columns - c);
      sum += x - x;  // 0, or NaN for ever
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

// ------------------------------------------------------------------------------------------------------------- the rows

// One head of keys and values of one example.
struct Head {
  const Attention &a;
  Index batch, shared;
  bool masked, skips;   // whether some keys are hidden; whether what lies in the future is skipped
  const float *there;   // for each key, and zeros behind the last: not 0 where it may be seen
  Index held;           // floats in which the weights of one query lie

  Index group() const { return a.heads / a.shared; }
  float scale() const { return 1.0f / __builtin_sqrtf(float(a.width)); }
  template <class Float> Float *of(Columns<Float> columns, Index time, Index head) const {
    return columns.at + batch * time * columns.row + head * a.width;
  }
  template <class Float> Columns<Float> joined(Float *y) const { return {y, a.heads * a.width}; }
};

Index held(const Attention &a) { return round_up(a.keys, WIDE) + WIDE; }

void fill_there(const Attention &a, const float *mask, Index batch, float *there) {
  clear(there, held(a));
  for (Index j = 0; j < a.keys; j++) there[j] = mask ? mask[batch * a.keys + j] : 1.0f;
}

// Some queries of one head, in parts of at most ROWS.
struct Queries {
  const Head &h;
  Index begin, seen;  // the first one; the keys that these see, those with a weight of 0 included
  Parts parts;
  Index from, to;     // parts
  Index first(Index part) const { return parts.begin(part) - parts.begin(from); }  // counted from the first one of these
  Index count() const { return first(to); }
  Index extent(Index part) const {  // keys for which the weights of a part are computed
    return h.skips ? smaller(h.a.keys, begin + parts.begin(part + 1)) : seen;
  }
  Index start() const { return begin + parts.begin(from); }
  Index limit(Index row) const { return h.a.causal ? smaller(h.a.keys, start() + row + 1) : h.a.keys; }
};

template <class Work> void each_queries(const Head &h, const Work &work) {
  Index block = h.skips ? h.a.queries : h.a.block;
  for (Index begin = 0; begin < h.a.queries; begin += block) {
    Index end = smaller(begin + block, h.a.queries);
    Parts parts(end - begin, ROWS);
    for (Index from = 0; from < parts.count; from += PARTS)
      work(Queries{h, begin, h.a.causal ? smaller(end, h.a.keys) : h.a.keys, parts, from,
                   smaller(from + PARTS, parts.count)});
  }
}
Index most_queries(const Attention &a) { return smaller(a.queries, PARTS * ROWS); }

// to[query][key] = rows . columns, up to the extent of each part; rows [query][k], columns [k][key].
void compare(const Queries &q, const float *rows, const Packed &columns, float *to) {
  Index width = q.h.a.width, held = q.h.held;
  for (Index n = 0; n < columns.blocks(); n++)
    for (Index p = q.from; p < q.to; p++)
      if (n * WIDE < q.extent(p))
        product_tile<false>(q.first(p + 1) - q.first(p), columns.count(n))(
            rows + q.first(p) * width, width, columns.block(n), width, to + q.first(p) * held + n * WIDE, held);
}

// to[query][k] = the sum over keys of weights[query][key] * values[key][k]
void combine(const Queries &q, const float *weights, const Packed &values, float *to, Index to_row) {
  Index held = q.h.held;
  for (Index n = 0; n < values.blocks(); n++)
    for (Index p = q.from; p < q.to; p++)
      product_tile<false>(q.first(p + 1) - q.first(p), values.count(n))(
          weights + q.first(p) * held, held, values.block(n), q.extent(p), to + q.first(p) * to_row + n * WIDE, to_row);
}

// to[key][k] += the sum over queries of weights[query][key] * rows[query][k]. Parts whose queries see none of some keys
// are left out; those that see but a few have zeros for the others.
void spread(const Queries &q, const float *weights, const Packed &rows, float *to, Index to_row) {
  Index held = q.h.held;
  Parts keys(q.extent(q.to - 1), ROWS);
  for (Index j = 0, p = q.from; j < keys.count; j++) {
    while (q.extent(p) <= keys.begin(j)) p++;
    Index first = q.first(p);
    for (Index n = 0; n < rows.blocks(); n++)
      product_tile<true>(keys.begin(j + 1) - keys.begin(j), rows.count(n))(
          weights + first * held + keys.begin(j), held, rows.block(n) + first * rows.width(n), q.count() - first,
          to + keys.begin(j) * to_row + n * WIDE, to_row);
  }
}

INLINE Integers lane_numbers() {
  Integers numbers;
  for (int lane = 0; lane < LANES; lane++) numbers[lane] = lane;
  return numbers;
}

// Scores that may not be seen are minus infinity.
INLINE Vector shown(const Head &h, const float *scores, Index key, Index limit) {
  Integers left = Integers{} + int32_t(limit - key);
  Integers seen = (lane_numbers() < left) & (load(h.there + key) != Vector{});
  return seen ? load(scores + key) : splat(-__builtin_inff());
}

// From scores to weights, in place. The two numbers of each row are as in the formula: a row that sees nothing has sum 0
// and weights 0; NaN or plus infinity among the scores makes the sum NaN, and so all weights of the row.
void weigh(const Queries &q, float *scores, float *statistics) {
  const Head &h = q.h;
  bool hides = h.masked || h.a.causal;
  for (Index p = q.from; p < q.to; p++) {
    // Each step is done for all rows of a part before the next one: nobody waits for the sum over a row's lanes.
    Index first = q.first(p), rows = q.first(p + 1) - first, extent = q.extent(p);
    float shifts[ROWS], inverses[ROWS];
    for (Index row = 0; row < rows; row++) {
      float *s = scores + (first + row) * h.held;
      Index limit = q.limit(first + row);
      Vector top = splat(-__builtin_inff());
      for (Index j = 0; j < extent; j += LANES) {
        Vector x = shown(h, s, j, limit);
        top = top < x ? x : top;
        store(s + j, x);
      }
      float shift = largest_of(top);
      shifts[row] = hides && shift == -__builtin_inff() ? 0.0f : shift;
    }
    for (Index row = 0; row < rows; row++) {
      float *s = scores + (first + row) * h.held;
      Vector sum = {};
      for (Index j = 0; j < extent; j += LANES) {
        Vector e = exp_of_negative(load(s + j) - shifts[row]);
        sum += e;
        store(s + j, e);
      }
      float total = sum_of(sum);
      inverses[row] = 1.0f / (hides && total == 0 ? 1.0f : total);
    }
    for (Index row = 0; row < rows; row++) {
      float *s = scores + (first + row) * h.held;
      for (Index j = 0; j < extent; j += LANES) store(s + j, load(s + j) * inverses[row]);
      statistics[2 * (first + row)] = shifts[row], statistics[2 * (first + row) + 1] = inverses[row];
    }
  }
}

// The same weights again; and from the deltas of the weights those of the scores, both in place. `dots` are dy . y.
void weigh_back(const Queries &q, float *scores, float *deltas, const float *statistics, const float *dots) {
  const Head &h = q.h;
  for (Index p = q.from; p < q.to; p++)
    for (Index row = q.first(p); row < q.first(p + 1); row++) {
      float *s = scores + row * h.held, *d = deltas + row * h.held;
      Index extent = q.extent(p), limit = q.limit(row), cleared = smaller(h.held, extent + ROWS);
      float shift = statistics[2 * row], inverse = statistics[2 * row + 1];
      for (Index j = 0; j < extent; j += LANES) {
        Vector weight = exp_of_negative(shown(h, s, j, limit) - shift) * inverse;
        store(d + j, weight * (load(d + j) - dots[row]));
        store(s + j, weight);
      }
      clear(s + extent, cleared - extent), clear(d + extent, cleared - extent);
    }
}

// Parts of one block of scratch memory.
struct Layout {
  Index floats = 0;
  Index reserve(Index count) {
    Index at = floats;
    floats += round_up(count, 16);
    return at;
  }
  Index packed(Index rows, Index columns) { return reserve(round_up(columns, WIDE) * rows); }
};

template <class Work> bool each_head(const Pool &pool, const Attention &a, Index floats, const Work &work) {
  bool enough = true;
  parallel(pool, a.batch * a.shared, [&](Index i) {
    float *memory = scratch(TASK, floats);
    if (memory)
      work(i / a.shared, i % a.shared, memory);
    else
      __atomic_store_n(&enough, false, __ATOMIC_RELAXED);
  });
  return enough;
}

}  // namespace

bool attend(const Pool &pool, const Attention &a, Given q, Given k, Given v, const float *mask, float *y,
            float *statistics) {
  Layout layout;
  Index most = most_queries(a), padded = round_up(a.width, WIDE), weights = layout.reserve(most * held(a));
  Index there = layout.reserve(held(a)), keys = layout.packed(a.width, a.keys), values = layout.packed(a.keys, a.width);
  Index rows = layout.reserve(most * a.width), means = layout.reserve(most * padded);
  return each_head(pool, a, layout.floats, [&](Index batch, Index shared, float *memory) {
    Head h = {a, batch, shared, mask != nullptr, false, memory + there, held(a)};
    const float *value = h.of(v, a.keys, shared);
    h.skips = a.causal && finite(value, v.row, a.keys, a.width);
    fill_there(a, mask, batch, memory + there);
    Packed columns = {memory + keys, a.width, a.keys}, packed = {memory + values, a.keys, a.width};
    pack_transposed(h.of(k, a.keys, shared), k.row, columns);
    pack(value, v.row, packed);
    for (Index head = shared * h.group(); head < (shared + 1) * h.group(); head++)
      each_queries(h, [&](const Queries &some) {
        float *s = memory + weights, *mean = memory + means;
        auto out = h.joined(y);
        copy_rows(h.of(q, a.queries, head) + some.start() * q.row, q.row, some.count(), a.width, h.scale(),
                  memory + rows, a.width);
        compare(some, memory + rows, columns, s);
        weigh(some, s, statistics + 2 * ((batch * a.heads + head) * a.queries + some.start()));
        combine(some, s, packed, mean, padded);
        copy_rows(mean, padded, some.count(), a.width, 1, h.of(out, a.queries, head) + some.start() * out.row, out.row);
      });
  });
}

namespace {

// dots[row] = dy . y
void multiply_rows(const float *dy, const float *y, Index row, Index rows, Index width, float *dots) {
  for (Index i = 0; i < rows; i++, dy += row, y += row) {
    Vector sum = {};
    for (Index c = 0; c < width; c += LANES) sum += get(dy + c, width - c) * get(y + c, width - c);
    dots[i] = sum_of(sum);
  }
}

bool all_finite(const Head &h, Given q, Given k, Given v, Given y, Given dy, const float *statistics) {
  const Attention &a = h.a;
  Index first = h.shared * h.group(), width = h.group() * a.width;  // the heads of a group lie side by side
  return finite(h.of(k, a.keys, h.shared), k.row, a.keys, a.width) &&
         finite(h.of(v, a.keys, h.shared), v.row, a.keys, a.width) &&
         finite(h.of(q, a.queries, first), q.row, a.queries, width) &&
         finite(h.of(y, a.queries, first), y.row, a.queries, width) &&
         finite(h.of(dy, a.queries, first), dy.row, a.queries, width) &&
         finite(statistics + 2 * (h.batch * a.heads + first) * a.queries, 0, 1, 2 * h.group() * a.queries);
}

}  // namespace

// ds = a (dy . v - dy . y), dq = ds k / sqrt(width), dk = dsᵀ q, dv = aᵀ dy
bool attend_back(const Pool &pool, const Attention &a, Given q, Given k, Given v, const float *mask, const float *y,
                 const float *statistics, const float *dy, Columns<float> dq, Columns<float> dk, Columns<float> dv) {
  Layout layout;
  Index most = most_queries(a), padded = round_up(a.width, WIDE), held_here = held(a);
  Index weights = layout.reserve(most * held_here), deltas = layout.reserve(most * held_here);
  Index there = layout.reserve(held_here), dots = layout.reserve(most);
  Index keys = layout.packed(a.width, a.keys), values = layout.packed(a.width, a.keys);
  Index keys_too = layout.packed(a.keys, a.width), sums = layout.reserve(2 * a.keys * padded);
  Index rows = layout.reserve(most * a.width), packed_rows = layout.packed(most, a.width);
  Index means = layout.reserve(most * padded);
  return each_head(pool, a, layout.floats, [&](Index batch, Index shared, float *memory) {
    Head h = {a, batch, shared, mask != nullptr, false, memory + there, held_here};
    Given out = h.joined(y), arriving = h.joined(dy);
    h.skips = a.causal && all_finite(h, q, k, v, out, arriving, statistics);
    fill_there(a, mask, batch, memory + there);
    Packed k_columns = {memory + keys, a.width, a.keys}, v_columns = {memory + values, a.width, a.keys};
    Packed k_rows = {memory + keys_too, a.keys, a.width};
    pack_transposed(h.of(k, a.keys, shared), k.row, k_columns);
    pack_transposed(h.of(v, a.keys, shared), v.row, v_columns);
    pack(h.of(k, a.keys, shared), k.row, k_rows);
    float *dk_sum = memory + sums, *dv_sum = dk_sum + a.keys * padded, *row = memory + rows;
    clear(dk_sum, 2 * a.keys * padded);
    for (Index head = shared * h.group(); head < (shared + 1) * h.group(); head++)
      each_queries(h, [&](const Queries &some) {
        float *s = memory + weights, *d = memory + deltas, *mean = memory + means;
        Index start = some.start(), count = some.count();
        Packed turn = {memory + packed_rows, count, a.width};
        const float *y_here = h.of(out, a.queries, head) + start * out.row;
        const float *dy_here = h.of(arriving, a.queries, head) + start * arriving.row;
        multiply_rows(dy_here, y_here, out.row, count, a.width, memory + dots);
        copy_rows(dy_here, arriving.row, count, a.width, 1, row, a.width);
        compare(some, row, v_columns, d);
        pack(row, a.width, turn);
        const float *q_here = h.of(q, a.queries, head) + start * q.row;
        copy_rows(q_here, q.row, count, a.width, h.scale(), row, a.width);
        compare(some, row, k_columns, s);
        weigh_back(some, s, d, statistics + 2 * ((batch * a.heads + head) * a.queries + start), memory + dots);
        spread(some, s, turn, dv_sum, padded);
        pack(row, a.width, turn);
        spread(some, d, turn, dk_sum, padded);
        combine(some, d, k_rows, mean, padded);
        copy_rows(mean, padded, count, a.width, h.scale(), h.of(dq, a.queries, head) + start * dq.row, dq.row);
      });
    copy_rows(dk_sum, padded, a.keys, a.width, 1, h.of(dk, a.keys, shared), dk.row);
    copy_rows(dv_sum, padded, a.keys, a.width, 1, h.of(dv, a.keys, shared), dv.row);
  });
}

}  // namespace VARIANT
}  // namespace retrograd
