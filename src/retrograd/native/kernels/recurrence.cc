// LSTM and GRU over a whole sequence in one call. Rows of the batch do not depend on one another, so each thread takes
// some rows through all steps: nobody waits for anybody after a step. What the input adds to the gates (z, without its
// bias) is one product over all steps made before; the gradients of the weights are one product behind.
//
// All arrays have time first. A mask [time, batch] is 0 where a step is not there: the states are carried on unchanged.
#include "functions.h"

namespace retrograd {
namespace VARIANT {
namespace {

// Rows whose gates (4 vectors each) stay in registers beside the 4 vectors of weights.
#if defined(__AVX512F__)
constexpr int CELL_ROWS = 6;
#elif defined(__aarch64__)
constexpr int CELL_ROWS = 5;
#else
constexpr int CELL_ROWS = 2;
#endif

// Weights [units, gates x units] for the way there: [block of units][unit][gate][lane].
void pack_gates(const Pool &pool, const Recurrence &r, const float *weight, int gates, float *to) {
  parallel(pool, ratio_up(r.units, LANES), [&](Index block) {
    Index first = block * LANES, count = smaller(LANES, r.units - first);
    float *at = to + block * r.units * gates * LANES;
    for (Index k = 0; k < r.units; k++)
      for (int gate = 0; gate < gates; gate++, at += LANES) {
        copy(at, weight + (k * gates + gate) * r.units + first, count);
        clear(at + count, LANES - count);
      }
  });
}

// The transposed weights for the way back: [block of 2 vectors of units][gate and unit][lane].
void pack_transposed(const Pool &pool, const Recurrence &r, const float *weight, int gates, float *to) {
  Index inner = gates * r.units, width = 2 * LANES;
  parallel(pool, ratio_up(r.units, width), [&](Index block) {
    Index first = block * width, count = smaller(width, r.units - first);
    float *at = to + block * inner * width;
    for (Index k = 0; k < inner; k++, at += width) {
      for (Index i = 0; i < count; i++) at[i] = weight[(first + i) * inner + k];
      clear(at + count, width - count);
    }
  });
}

// One thread's rows, and the order of the steps.
struct Rows {
  const Recurrence &r;
  Index begin, end;
  Index time(Index step) const { return r.reverse ? r.time - 1 - step : step; }
};

template <class Work> void each_share(const Pool &pool, const Recurrence &r, const Work &work) {
  Index shares = smaller(pool.threads, r.batch);
  parallel(pool, shares, [&](Index share) { work(Rows{r, r.batch * share / shares, r.batch * (share + 1) / shares}); });
}

// Fetch what the next step will read of this block, so many vectors a row, `apart` from one another, while this step
// multiplies: the processor does not foresee it. Where there is no next step `at` is null.
template <int M> INLINE void fetch(const float *at, Index row, Index unit, Index width, Index apart, int vectors) {
  if (!at) return;
  for (int m = 0; m < M; m++)
    for (int n = 0; n < vectors; n++) __builtin_prefetch(at + (row + m) * width + n * apart + unit, 0, 2);
}

// Call the work for so many rows, at most MOST, as they are known to the compiler.
template <int MOST, int M = MOST, class Run> INLINE void with_rows(Index rows, const Run &run) {
  if constexpr (M > 0) {
    if (rows == M)
      run.template run<M>();
    else
      with_rows<MOST, M - 1>(rows, run);
  }
}

// ------------------------------------------------------------------------------------------------------------------ LSTM

struct LstmForward {
  const Recurrence &r;
  const float *z, *bias, *h, *c, *mask, *weights;  // at this step: of all rows; h and c are those before
  float *h_after, *c_after, *gates;
  const float *next;  // z of the next step, maybe null
  Index row, unit;    // the first of this block

  template <int M> void run() const {
    Index count = r.units - unit, width = 4 * r.units;
    Vector sum[M][4];
    for (int n = 0; n < 4; n++) {
      Vector b = get(bias + n * r.units + unit, count);
      for (int m = 0; m < M; m++) sum[m][n] = get(z + (row + m) * width + n * r.units + unit, count) + b;
    }
    fetch<M>(next, row, unit, width, r.units, 4);
    multiply<M, 4>(sum, h + row * r.units, r.units, 1, weights + unit * r.units * 4, r.units);
    for (int m = 0; m < M; m++) {
      Index at = (row + m) * r.units + unit;
      Vector i = logistic_of(sum[m][0]), f = logistic_of(sum[m][1]), g = tanh_of(sum[m][2]), o = logistic_of(sum[m][3]);
      Vector before = get(c + at, count), cell = f * before + i * g, hidden = o * tanh_of(cell);
      if (mask[row + m] == 0) cell = before, hidden = get(h + at, count);
      float *saved = gates + (row + m) * width + unit;
      put(saved, i, count), put(saved + r.units, f, count);
      put(saved + 2 * r.units, g, count), put(saved + 3 * r.units, o, count);
      put(c_after + at, cell, count), put(h_after + at, hidden, count);
    }
  }
};

// dz of a block of units of M rows at one step, from the deltas of the step behind.
struct LstmBackward {
  const Recurrence &r;
  bool last;                                     // there is no step behind: the deltas are those of the final states
  const float *behind, *behind_mask, *weights;   // dz of the step behind
  const float *here, *mask, *gates, *c, *c_before;
  float *dh, *dc, *dz;  // dh: of the final states; then what rows that are not there carry on; then of the initial ones
  const float *next_gates, *next_c;  // of the step before this one: it is the next here; maybe null
  Index row, unit;

  // dh = dz(behind) W_hᵀ
  template <int M> INLINE void deltas(Vector (&sum)[M][2]) const {
    for (int m = 0; m < M; m++) sum[m][0] = sum[m][1] = Vector{};
    if (!last) multiply<M, 2>(sum, behind + row * 4 * r.units, 4 * r.units, 1, weights + unit * 4 * r.units, 4 * r.units);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index count = r.units - unit - n * LANES;
        if (count > 0 && (last || behind_mask[row + m] == 0))
          sum[m][n] = get(dh + (row + m) * r.units + unit + n * LANES, count);
      }
  }

  template <int M> void run() const {
    Vector sum[M][2];
    for (int n = 0; n < 2 && unit + n * LANES < r.units; n++) {
      fetch<M>(next_gates, row, unit + n * LANES, 4 * r.units, r.units, 4);
      fetch<M>(next_c, row, unit + n * LANES, r.units, 0, 1);
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
        if (here) d += get(here + at, count);
        const float *saved = gates + (row + m) * 4 * r.units + u;
        Vector i = get(saved, count), f = get(saved + r.units, count), g = get(saved + 2 * r.units, count);
        Vector o = get(saved + 3 * r.units, count), shown = tanh_of(get(c + at, count));
        Vector cell = get(dc + at, count) + d * o * (1.0f - shown * shown);
        put(dc + at, cell * f, count);
        put(out, cell * g * i * (1.0f - i), count);
        put(out + r.units, cell * get(c_before + at, count) * f * (1.0f - f), count);
        put(out + 2 * r.units, cell * i * (1.0f - g * g), count);
        put(out + 3 * r.units, d * shown * o * (1.0f - o), count);
      }
  }
};

// Behind the first step: the deltas of the initial states.
struct LstmInitial {
  const LstmBackward &of;
  template <int M> void run() const {
    Vector sum[M][2];
    of.deltas<M>(sum);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index u = of.unit + n * LANES, count = of.r.units - u;
        if (count > 0) put(of.dh + (of.row + m) * of.r.units + u, sum[m][n], count);
      }
  }
};

}  // namespace

bool lstm(const Pool &pool, const Recurrence &r, const float *z, const float *weight, const float *bias, const float *h,
          const float *c, const float *mask, float *hidden, float *cells, float *gates) {
  float *weights = scratch(SHARED, ratio_up(r.units, LANES) * LANES * r.units * 4);
  if (!weights) return false;
  pack_gates(pool, r, weight, 4, weights);
  each_share(pool, r, [&](const Rows &rows) {
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

// dh and dc hold the deltas of the final states, and then those of the initial ones.
bool lstm_back(const Pool &pool, const Recurrence &r, const float *gates, const float *cells, const float *c,
               const float *weight, const float *mask, const float *dhidden, float *dz, float *dh, float *dc) {
  float *weights = scratch(SHARED, ratio_up(r.units, 2 * LANES) * 2 * LANES * r.units * 4);
  if (!weights) return false;
  pack_transposed(pool, r, weight, 4, weights);
  each_share(pool, r, [&](const Rows &rows) {
    Index all = r.batch * r.units;
    const float *behind = nullptr, *behind_mask = nullptr;
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
      LstmBackward cell = {r, step == r.time - 1, behind, behind_mask, weights, dhidden ? dhidden + t * all : nullptr,
                           mask + t * r.batch, gates + t * 4 * all, cells + t * all,
                           step ? cells + rows.time(step - 1) * all : c, dh, dc, dz + t * 4 * all,
                           step ? gates + rows.time(step - 1) * 4 * all : nullptr,
                           step > 1 ? cells + rows.time(step - 2) * all : nullptr, 0, 0};
      over_blocks(cell, cell);
      behind = dz + t * 4 * all, behind_mask = mask + t * r.batch;
    }
    LstmBackward cell = {r, false, behind, behind_mask, weights, nullptr, nullptr, nullptr, nullptr, nullptr, dh, dc,
                         nullptr, nullptr, nullptr, 0, 0};
    over_blocks(cell, LstmInitial{cell});
  });
  return true;
}

// ------------------------------------------------------------------------------------------------------------------- GRU

namespace {

struct GruForward {
  const Recurrence &r;
  const float *z, *h, *bias, *recurrent_bias, *mask, *weights;
  float *h_after, *gates;
  const float *next;  // z of the next step, maybe null
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
    fetch<M>(next, row, unit, width, r.units, 3);
    multiply<M, 3>(sum, h + row * r.units, r.units, 1, weights + unit * r.units * 3, r.units);
    for (int m = 0; m < M; m++) {
      Index at = (row + m) * r.units + unit;
      Vector reset = logistic_of(sum[m][0]), stay = logistic_of(sum[m][1]), q = sum[m][2];
      Vector fresh = tanh_of(get(z + (row + m) * width + 2 * r.units + unit, count) + b[2] + reset * q);
      Vector before = get(h + at, count), hidden = (1.0f - stay) * fresh + stay * before;
      float *saved = gates + (row + m) * 4 * r.units + unit;
      put(saved, reset, count), put(saved + r.units, stay, count);
      put(saved + 2 * r.units, fresh, count), put(saved + 3 * r.units, q, count);
      put(h_after + at, mask[row + m] == 0 ? before : hidden, count);
    }
  }
};

// `behind` and `through` are the deltas of h W_h at the step behind and at this one, rows of this thread only.
struct GruBackward {
  const Recurrence &r;
  bool last;
  const float *behind, *behind_mask, *weights, *here, *mask, *gates, *h_before;
  float *dh, *dz, *through;  // dh: what of the delta reaches h(t-1) past the product
  const float *next_gates;   // of the step before this one: it is the next here; maybe null
  Index first, row, unit;    // the first row of this thread

  template <int M> INLINE void deltas(Vector (&sum)[M][2]) const {
    Index inner = 3 * r.units;
    for (int m = 0; m < M; m++) sum[m][0] = sum[m][1] = Vector{};
    if (!last) multiply<M, 2>(sum, behind + (row - first) * inner, inner, 1, weights + unit * inner, inner);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index count = r.units - unit - n * LANES;
        if (count <= 0) continue;
        Vector past = get(dh + (row + m) * r.units + unit + n * LANES, count);
        sum[m][n] = last || behind_mask[row + m] == 0 ? past : sum[m][n] + past;
      }
  }

  template <int M> void run() const {
    Vector sum[M][2];
    for (int n = 0; n < 2 && unit + n * LANES < r.units; n++)
      fetch<M>(next_gates, row, unit + n * LANES, 4 * r.units, r.units, 4);
    deltas<M>(sum);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index u = unit + n * LANES, count = r.units - u, at = (row + m) * r.units + u;
        if (count <= 0) continue;
        Vector d = sum[m][n];
        float *out = dz + (row + m) * 3 * r.units + u, *next = through + (row + m - first) * 3 * r.units + u;
        if (mask[row + m] == 0) {
          put(dh + at, d, count);
          for (int gate = 0; gate < 3; gate++)
            put(out + gate * r.units, Vector{}, count), put(next + gate * r.units, Vector{}, count);
          continue;
        }
        if (here) d += get(here + at, count);
        const float *saved = gates + (row + m) * 4 * r.units + u;
        Vector reset = get(saved, count), stay = get(saved + r.units, count), fresh = get(saved + 2 * r.units, count);
        Vector dn = d * (1.0f - stay) * (1.0f - fresh * fresh);
        Vector dr = dn * get(saved + 3 * r.units, count) * reset * (1.0f - reset);
        Vector du = d * (get(h_before + at, count) - fresh) * stay * (1.0f - stay);
        put(dh + at, d * stay, count);
        put(out, dr, count), put(out + r.units, du, count), put(out + 2 * r.units, dn, count);
        put(next, dr, count), put(next + r.units, du, count), put(next + 2 * r.units, dn * reset, count);
      }
  }
};

struct GruInitial {
  const GruBackward &of;
  template <int M> void run() const {
    Vector sum[M][2];
    of.deltas<M>(sum);
    for (int m = 0; m < M; m++)
      for (int n = 0; n < 2; n++) {
        Index u = of.unit + n * LANES, count = of.r.units - u;
        if (count > 0) put(of.dh + (of.row + m) * of.r.units + u, sum[m][n], count);
      }
  }
};

}  // namespace

bool gru(const Pool &pool, const Recurrence &r, const float *z, const float *weight, const float *bias,
         const float *recurrent_bias, const float *h, const float *mask, float *hidden, float *gates) {
  float *weights = scratch(SHARED, ratio_up(r.units, LANES) * LANES * r.units * 3);
  if (!weights) return false;
  pack_gates(pool, r, weight, 3, weights);
  each_share(pool, r, [&](const Rows &rows) {
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
  float *weights = scratch(SHARED, ratio_up(r.units, 2 * LANES) * 2 * LANES * r.units * 3);
  if (!weights) return false;
  pack_transposed(pool, r, weight, 3, weights);
  bool enough = true;
  each_share(pool, r, [&](const Rows &rows) {
    Index all = r.batch * r.units, own = (rows.end - rows.begin) * 3 * r.units;
    float *two = scratch(TASK, 2 * own);
    if (!two) {
      __atomic_store_n(&enough, false, __ATOMIC_RELAXED);
      return;
    }
    const float *behind = nullptr, *behind_mask = nullptr;
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
      float *through = two + step % 2 * own;
      GruBackward cell = {r, step == r.time - 1, behind, behind_mask, weights, dhidden ? dhidden + t * all : nullptr,
                          mask + t * r.batch, gates + t * 4 * all, step ? hidden + rows.time(step - 1) * all : h, dh,
                          dz + t * 3 * all, through, step ? gates + rows.time(step - 1) * 4 * all : nullptr,
                          rows.begin, 0, 0};
      over_blocks(cell, cell);
      behind = through, behind_mask = mask + t * r.batch;
    }
    GruBackward cell = {r, false, behind, behind_mask, weights, nullptr, nullptr, nullptr, nullptr, dh, nullptr, nullptr,
                        nullptr, rows.begin, 0, 0};
    over_blocks(cell, GruInitial{cell});
  });
  return enough;
}

}  // namespace VARIANT
}  // namespace retrograd
