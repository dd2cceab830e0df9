// LSTM and GRU over a whole sequence in one call. The rows of a batch are independent, so each thread takes some of
// them through all steps: no thread waits for another between steps. The input's contribution to the gates (z, without
// its bias) is one product over all steps, computed before; the gradients of the weights are one product after.
//
// All arrays are time-major. A mask [time, batch] is 0 at padded steps, which carry the states over unchanged.
#include "functions.h"

namespace retrograd {
namespace VARIANT {
namespace {

// Rows whose gates (4 vectors each) stay in registers together with 4 vectors of weights.
#if defined(__AVX512F__)
constexpr int CELL_ROWS = 6;
#elif defined(__aarch64__)
constexpr int CELL_ROWS = 5;
#else
constexpr int CELL_ROWS = 2;
#endif

// The weights [units, gates x units] packed for the forward pass: [block of units][unit][gate][lane].
void pack_gates(const Pool &pool, const Recurrence &r, const float *weight, int gates, float *to) {
  parallel(pool, ceil_div(r.units, LANES), [&](Index block) {
    Index first = block * LANES, count = min(LANES, r.units - first);
    float *at = to + block * r.units * gates * LANES;
    for (Index k = 0; k < r.units; k++)
      for (int gate = 0; gate < gates; gate++, at += LANES) {
        copy(at, weight + (k * gates + gate) * r.units + first, count);
        clear(at + count, LANES - count);
      }
  });
}

// The transposed weights packed for the backward pass: [block of 2 vectors of units][gate and unit][lane].
void pack_transposed(const Pool &pool, const Recurrence &r, const float *weight, int gates, float *to) {
  Index inner = gates * r.units, width = 2 * LANES;
  parallel(pool, ceil_div(r.units, width), [&](Index block) {
    Index first = block * width, count = min(width, r.units - first);
    float *at = to + block * inner * width;
    for (Index k = 0; k < inner; k++, at += width) {
      for (Index i = 0; i < count; i++) at[i] = weight[(first + i) * inner + k];
      clear(at + count, width - count);
    }
  });
}

// The rows of one thread, and the order of the steps.
struct Rows {
  const Recurrence &r;
  Index begin, end;
  Index time(Index step) const { return r.reverse ? r.time - 1 - step : step; }
};

template <class Work> void for_each_share(const Pool &pool, const Recurrence &r, const Work &work) {
  Index shares = min(pool.threads, r.batch);
  parallel(pool, shares, [&](Index share) { work(Rows{r, r.batch * share / shares, r.batch * (share + 1) / shares}); });
}

// Prefetch what the step computed next reads of this block, `vectors` vectors per row, `apart` floats from one another,
// while this step multiplies: the hardware does not predict it. `at` is null if there is no such step.
template <int M> INLINE void prefetch(const float *at, Index row, Index unit, Index width, Index apart, int vectors) {
  if (!at) return;
  for (int m = 0; m < M; m++)
    for (int n = 0; n < vectors; n++) __builtin_prefetch(at + (row + m) * width + n * apart + unit, 0, 2);
}

// Call run<M>() with M = rows, at most MOST, as a compile-time constant.
template <int MOST, int M = MOST, class Run> INLINE void with_rows(Index rows, const Run &run) {
  if constexpr (M > 0) {
    if (rows == M)
      run.template run<M>();
    else
      with_rows<MOST, M - 1>(rows, run);
  }
}

// ---------------------------------------------------------------------------------------------------------------- LSTM

struct LstmForward {
  const Recurrence &r;
  const float *z, *bias, *h, *c, *mask, *weights;  // at this step, for all rows; h and c: at the previous step
  float *h_out, *c_out, *gates;
  const float *next_z;  // z of the next step, or null
  Index row, unit;      // the first row and unit of this block

  template <int M> void run() const {
    Index count = r.units - unit, width = 4 * r.units;
    Vector sum[M][4];
    for (int n = 0; n < 4; n++) {
      Vector b = get(bias + n * r.units + unit, count);
      for (int m = 0; m < M; m++) sum[m][n] = get(z + (row + m) * width + n * r.units + unit, count) + b;
    }
    prefetch<M>(next_z, row, unit, width, r.units, 4);
    multiply<M, 4>(sum, h + row * r.units, r.units, 1, weights + unit * r.units * 4, r.units);
    for (int m = 0; m < M; m++) {
      Index at = (row + m) * r.units + unit;
      Vector i = logistic_of(sum[m][0]), f = logistic_of(sum[m][1]), g = tanh_of(sum[m][2]), o = logistic_of(sum[m][3]);
      Vector before = get(c + at, count), cell = f * before + i * g, hidden = o * tanh_of(cell);
      if (mask[row + m] == 0) cell = before, hidden = get(h + at, count);
      float *saved = gates + (row + m) * width + unit;
      put(saved, i, count), put(saved + r.units, f, count);
      put(saved + 2 * r.units, g, count), put(saved + 3 * r.units, o, count);
      put(c_out + at, cell, count), put(h_out + at, hidden, count);
    }
  }
};

// dz at one step, for a block of units and M rows, from the deltas of the next step.
struct LstmBackward {
  const Recurrence &r;
  bool last;  // the last step: its deltas are those of the final states
  const float *next_dz, *next_mask, *weights;
  const float *dhidden, *mask, *gates, *c, *c_before;
  float *dh, *dc, *dz;  // dh: of the final states; then what padded rows carry over; finally of the initial states
  const float *gates_ahead, *c_ahead;  // of the previous step, which is computed next; or null
  Index row, unit;

  // dh = dz(next step) W_hᵀ
  template <int M> INLINE void deltas(Vector (&sum)[M][2]) const {
    for (int m = 0; m < M; m++) sum[m][0] = sum[m][1] = Vector{};
    Index inner = 4 * r.units;
    if (!last) multiply<M, 2>(sum, next_dz + row * inner, inner, 1, weights + unit * inner, inner);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index count = r.units - unit - n * LANES;
        if (count > 0 && (last || next_mask[row + m] == 0))
          sum[m][n] = get(dh + (row + m) * r.units + unit + n * LANES, count);
      }
  }

  template <int M> void run() const {
    Vector sum[M][2];
    for (int n = 0; n < 2 && unit + n * LANES < r.units; n++) {
      prefetch<M>(gates_ahead, row, unit + n * LANES, 4 * r.units, r.units, 4);
      prefetch<M>(c_ahead, row, unit + n * LANES, r.units, 0, 1);
    }
    deltas<M>(sum);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index u = unit + n * LANES, count = r.units - u, at = (row + m) * r.units + u;
        if (count <= 0) continue;
        Vector d = sum[m][n];
        float *out = dz + (row + m) * 4 * r.units + u;
        if (mask[row + m] == 0) {
          put(dh + at, d, count);
          for (int gate = 0; gate < 4; gate++) put(out + gate * r.units, Vector{}, count);
          continue;
        }
        if (dhidden) d += get(dhidden + at, count);
        const float *saved = gates + (row + m) * 4 * r.units + u;
        Vector i = get(saved, count), f = get(saved + r.units, count), g = get(saved + 2 * r.units, count);
        Vector o = get(saved + 3 * r.units, count), tanh_c = tanh_of(get(c + at, count));
        Vector cell = get(dc + at, count) + d * o * (1.0f - tanh_c * tanh_c);
        put(dc + at, cell * f, count);
        put(out, cell * g * i * (1.0f - i), count);
        put(out + r.units, cell * get(c_before + at, count) * f * (1.0f - f), count);
        put(out + 2 * r.units, cell * i * (1.0f - g * g), count);
        put(out + 3 * r.units, d * tanh_c * o * (1.0f - o), count);
      }
  }
};

// The deltas of the initial states, from those of the first step.
struct LstmInitial {
  const LstmBackward &cell;
  template <int M> void run() const {
    Vector sum[M][2];
    cell.deltas<M>(sum);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index u = cell.unit + n * LANES, count = cell.r.units - u;
        if (count > 0) put(cell.dh + (cell.row + m) * cell.r.units + u, sum[m][n], count);
      }
  }
};

}  // namespace

bool lstm(const Pool &pool, const Recurrence &r, const float *z, const float *weight, const float *bias, const float *h,
          const float *c, const float *mask, float *hidden, float *cells, float *gates) {
  float *weights = scratch(SHARED, ceil_div(r.units, LANES) * LANES * r.units * 4);
  if (!weights) return false;
  pack_gates(pool, r, weight, 4, weights);
  for_each_share(pool, r, [&](const Rows &rows) {
    Index all = r.batch * r.units;
    const float *h_before = h, *c_before = c;
    Parts parts(rows.end - rows.begin, CELL_ROWS);
    for (Index step = 0; step < r.time; step++) {
      Index t = rows.time(step);
      LstmForward cell = {r, z + t * 4 * all, bias, h_before, c_before, mask + t * r.batch, weights,
                          hidden + t * all, cells + t * all, gates + t * 4 * all,
                          step + 1 < r.time ? z + rows.time(step + 1) * 4 * all : nullptr, 0, 0};
      for (cell.unit = 0; cell.unit < r.units; cell.unit += LANES)
        for (Index p = 0; p < parts.count; p++) {
          cell.row = rows.begin + parts.begin(p);
          with_rows<CELL_ROWS>(parts.begin(p + 1) - parts.begin(p), cell);
        }
      h_before = hidden + t * all, c_before = cells + t * all;
    }
  });
  return true;
}

// dh and dc contain the deltas of the final states on entry, and those of the initial states on return.
bool lstm_back(const Pool &pool, const Recurrence &r, const float *gates, const float *cells, const float *c,
               const float *weight, const float *mask, const float *dhidden, float *dz, float *dh, float *dc) {
  float *weights = scratch(SHARED, ceil_div(r.units, 2 * LANES) * 2 * LANES * r.units * 4);
  if (!weights) return false;
  pack_transposed(pool, r, weight, 4, weights);
  for_each_share(pool, r, [&](const Rows &rows) {
    Index all = r.batch * r.units;
    const float *next_dz = nullptr, *next_mask = nullptr;
    Parts parts(rows.end - rows.begin, ROWS);
    auto over_blocks = [&](LstmBackward &cell, const auto &run) {
      for (cell.unit = 0; cell.unit < r.units; cell.unit += 2 * LANES)
        for (Index p = 0; p < parts.count; p++) {
          cell.row = rows.begin + parts.begin(p);
          with_rows<ROWS>(parts.begin(p + 1) - parts.begin(p), run);
        }
    };
    for (Index step = r.time - 1; step >= 0; step--) {
      Index t = rows.time(step);
      LstmBackward cell = {r, step == r.time - 1, next_dz, next_mask, weights, dhidden ? dhidden + t * all : nullptr,
                           mask + t * r.batch, gates + t * 4 * all, cells + t * all,
                           step ? cells + rows.time(step - 1) * all : c, dh, dc, dz + t * 4 * all,
                           step ? gates + rows.time(step - 1) * 4 * all : nullptr,
                           step > 1 ? cells + rows.time(step - 2) * all : nullptr, 0, 0};
      over_blocks(cell, cell);
      next_dz = dz + t * 4 * all, next_mask = mask + t * r.batch;
    }
    LstmBackward cell = {r, false, next_dz, next_mask, weights, nullptr, nullptr, nullptr, nullptr, nullptr, dh, dc,
                         nullptr, nullptr, nullptr, 0, 0};
    over_blocks(cell, LstmInitial{cell});
  });
  return true;
}

// ----------------------------------------------------------------------------------------------------------------- GRU

namespace {

struct GruForward {
  const Recurrence &r;
  const float *z, *h, *bias, *recurrent_bias, *mask, *weights;
  float *h_out, *gates;
  const float *next_z;  // z of the next step, or null
  Index row, unit;

  template <int M> void run() const {
    Index count = r.units - unit, width = 3 * r.units;
    Vector sum[M][3];
    Vector b[3];
    for (int n = 0; n < 3; n++) b[n] = get(bias + n * r.units + unit, count);
    for (int m = 0; m < M; m++) {
      for (int n = 0; n < 2; n++) sum[m][n] = get(z + (row + m) * width + n * r.units + unit, count) + b[n];
      sum[m][2] = get(recurrent_bias + unit, count);
    }
    prefetch<M>(next_z, row, unit, width, r.units, 3);
    multiply<M, 3>(sum, h + row * r.units, r.units, 1, weights + unit * r.units * 3, r.units);
    for (int m = 0; m < M; m++) {
      Index at = (row + m) * r.units + unit;
      Vector reset = logistic_of(sum[m][0]), update = logistic_of(sum[m][1]), product = sum[m][2];
      Vector candidate = tanh_of(get(z + (row + m) * width + 2 * r.units + unit, count) + b[2] + reset * product);
      Vector before = get(h + at, count), hidden = (1.0f - update) * candidate + update * before;
      float *saved = gates + (row + m) * 4 * r.units + unit;
      put(saved, reset, count), put(saved + r.units, update, count);
      put(saved + 2 * r.units, candidate, count), put(saved + 3 * r.units, product, count);
      put(h_out + at, mask[row + m] == 0 ? before : hidden, count);
    }
  }
};

// `dproduct` and `next_dproduct` are the deltas of h W_h at this step and the next, for the rows of this thread.
struct GruBackward {
  const Recurrence &r;
  bool last;
  const float *next_dproduct, *next_mask, *weights, *dhidden, *mask, *gates, *h_before;
  float *dh, *dz, *dproduct;  // dh: the part of the delta that reaches h(t-1) other than through the product
  const float *gates_ahead;   // of the previous step, which is computed next; or null
  Index first, row, unit;     // `first`: the first row of this thread

  template <int M> INLINE void deltas(Vector (&sum)[M][2]) const {
    Index inner = 3 * r.units;
    for (int m = 0; m < M; m++) sum[m][0] = sum[m][1] = Vector{};
    if (!last) multiply<M, 2>(sum, next_dproduct + (row - first) * inner, inner, 1, weights + unit * inner, inner);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index count = r.units - unit - n * LANES;
        if (count <= 0) continue;
        Vector direct = get(dh + (row + m) * r.units + unit + n * LANES, count);
        sum[m][n] = last || next_mask[row + m] == 0 ? direct : sum[m][n] + direct;
      }
  }

  template <int M> void run() const {
    Vector sum[M][2];
    for (int n = 0; n < 2 && unit + n * LANES < r.units; n++)
      prefetch<M>(gates_ahead, row, unit + n * LANES, 4 * r.units, r.units, 4);
    deltas<M>(sum);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index u = unit + n * LANES, count = r.units - u, at = (row + m) * r.units + u;
        if (count <= 0) continue;
        Vector d = sum[m][n];
        float *out = dz + (row + m) * 3 * r.units + u, *to_product = dproduct + (row + m - first) * 3 * r.units + u;
        if (mask[row + m] == 0) {
          put(dh + at, d, count);
          for (int gate = 0; gate < 3; gate++)
            put(out + gate * r.units, Vector{}, count), put(to_product + gate * r.units, Vector{}, count);
          continue;
        }
        if (dhidden) d += get(dhidden + at, count);
        const float *saved = gates + (row + m) * 4 * r.units + u;
        Vector reset = get(saved, count), update = get(saved + r.units, count);
        Vector candidate = get(saved + 2 * r.units, count);
        Vector dn = d * (1.0f - update) * (1.0f - candidate * candidate);
        Vector dr = dn * get(saved + 3 * r.units, count) * reset * (1.0f - reset);
        Vector du = d * (get(h_before + at, count) - candidate) * update * (1.0f - update);
        put(dh + at, d * update, count);
        put(out, dr, count), put(out + r.units, du, count), put(out + 2 * r.units, dn, count);
        put(to_product, dr, count), put(to_product + r.units, du, count);
        put(to_product + 2 * r.units, dn * reset, count);
      }
  }
};

struct GruInitial {
  const GruBackward &cell;
  template <int M> void run() const {
    Vector sum[M][2];
    cell.deltas<M>(sum);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index u = cell.unit + n * LANES, count = cell.r.units - u;
        if (count > 0) put(cell.dh + (cell.row + m) * cell.r.units + u, sum[m][n], count);
      }
  }
};

}  // namespace

bool gru(const Pool &pool, const Recurrence &r, const float *z, const float *weight, const float *bias,
         const float *recurrent_bias, const float *h, const float *mask, float *hidden, float *gates) {
  float *weights = scratch(SHARED, ceil_div(r.units, LANES) * LANES * r.units * 3);
  if (!weights) return false;
  pack_gates(pool, r, weight, 3, weights);
  for_each_share(pool, r, [&](const Rows &rows) {
    Index all = r.batch * r.units;
    const float *h_before = h;
    Parts parts(rows.end - rows.begin, CELL_ROWS);
    for (Index step = 0; step < r.time; step++) {
      Index t = rows.time(step);
      GruForward cell = {r, z + t * 3 * all, h_before, bias, recurrent_bias, mask + t * r.batch, weights,
                         hidden + t * all, gates + t * 4 * all,
                         step + 1 < r.time ? z + rows.time(step + 1) * 3 * all : nullptr, 0, 0};
      for (cell.unit = 0; cell.unit < r.units; cell.unit += LANES)
        for (Index p = 0; p < parts.count; p++) {
          cell.row = rows.begin + parts.begin(p);
          with_rows<CELL_ROWS>(parts.begin(p + 1) - parts.begin(p), cell);
        }
      h_before = hidden + t * all;
    }
  });
  return true;
}

bool gru_back(const Pool &pool, const Recurrence &r, const float *gates, const float *hidden, const float *h,
              const float *weight, const float *mask, const float *dhidden, float *dz, float *dh) {
  float *weights = scratch(SHARED, ceil_div(r.units, 2 * LANES) * 2 * LANES * r.units * 3);
  if (!weights) return false;
  pack_transposed(pool, r, weight, 3, weights);
  bool allocated = true;
  for_each_share(pool, r, [&](const Rows &rows) {
    Index all = r.batch * r.units, share_floats = (rows.end - rows.begin) * 3 * r.units;
    float *dproducts = scratch(TASK, 2 * share_floats);
    if (!dproducts) {
      __atomic_store_n(&allocated, false, __ATOMIC_RELAXED);
      return;
    }
    const float *next_dproduct = nullptr, *next_mask = nullptr;
    Parts parts(rows.end - rows.begin, ROWS);
    auto over_blocks = [&](GruBackward &cell, const auto &run) {
      for (cell.unit = 0; cell.unit < r.units; cell.unit += 2 * LANES)
        for (Index p = 0; p < parts.count; p++) {
          cell.row = rows.begin + parts.begin(p);
          with_rows<ROWS>(parts.begin(p + 1) - parts.begin(p), run);
        }
    };
    for (Index step = r.time - 1; step >= 0; step--) {
      Index t = rows.time(step);
      float *dproduct = dproducts + step % 2 * share_floats;
      GruBackward cell = {r, step == r.time - 1, next_dproduct, next_mask, weights,
                          dhidden ? dhidden + t * all : nullptr, mask + t * r.batch, gates + t * 4 * all,
                          step ? hidden + rows.time(step - 1) * all : h, dh, dz + t * 3 * all, dproduct,
                          step ? gates + rows.time(step - 1) * 4 * all : nullptr,
                          rows.begin, 0, 0};
      over_blocks(cell, cell);
      next_dproduct = dproduct, next_mask = mask + t * r.batch;
    }
    GruBackward cell = {r, false, next_dproduct, next_mask, weights, nullptr, nullptr, nullptr, nullptr, dh, nullptr,
                        nullptr, nullptr, rows.begin, 0, 0};
    over_blocks(cell, GruInitial{cell});
  });
  return allocated;
}

}  // namespace VARIANT
}  // namespace retrograd
