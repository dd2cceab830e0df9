// What the kernels offer, and what they are given. This header is plain C++ without the standard library: each kernel
// file is compiled once for each kind of processor, and a template of the standard library that two of these share
// would be kept only once by the linker, maybe the one that an older processor cannot run.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace retrograd {

typedef int64_t Index;

// XLA's thread pool. `run` calls task(context, i) for each i below count, on any thread, and returns when all are done.
struct Pool {
  Index threads;
  void *pool;
  void (*run)(const Pool &, Index count, void (*task)(const void *context, Index i), const void *context);
};

template <class Task> void parallel(const Pool &pool, Index count, const Task &task) {
  if (pool.threads <= 1 || count <= 1) {
    for (Index i = 0; i < count; i++) task(i);
    return;
  }
  pool.run(pool, count, [](const void *context, Index i) { (*static_cast<const Task *>(context))(i); }, &task);
}

// Memory of the calling thread that stays from call to call (a fresh block costs page faults every time). Each slot is
// a block of its own: what a call holds for all its tasks must lie in another slot than what a task uses.
enum Slot { SHARED, SHARED_TOO, TASK, TASK_TOO, SLOTS };
float *scratch(Slot slot, Index floats);  // aligned to 64 bytes; null when there is no memory left

// ---------------------------------------------------------------------------------------------------------- convolution

// Geometry of a convolution in two dimensions: images [batch, height, width, channels], weights
// [kernel_height, kernel_width, channels / groups, filters]. A convolution of sequences has height 1.
struct Convolution {
  Index batch, height, width, channels;
  Index out_height, out_width, filters;
  Index kernel_height, kernel_width;
  Index stride_height, stride_width, dilation_height, dilation_width;
  Index before_height, before_width;  // zeros before the first row and column; negative: rows that nobody sees
  Index groups;
};

// What follows a forward convolution where its sums are stored: + bias, + residual (an array like the result), relu.
struct Behind {
  const float *bias, *residual;  // null where there is none
  bool relu;
  Behind at(Index filter, Index offset) const {
    return {bias ? bias + filter : nullptr, residual ? residual + offset : nullptr, relu};
  }
};

// Weights of a kernel of 3 x 3: at[entry * .. + channel * in + filter * out]. Backward reads them in another order.
struct Taps {
  const float *at;
  Index entry, in, out;
};

// ----------------------------------------------------------------------------------------------------------- recurrence

struct Recurrence {
  Index time, batch, units;
  bool reverse;  // the last step is read first
};

// ------------------------------------------------------------------------------------------------------------ attention

struct Attention {
  Index batch, queries, keys, width;
  Index heads, shared;  // of queries; of keys and values, each for heads / shared of the queries'
  Index block;          // queries that see the same keys in XLA's formula, the later ones with a weight of 0
  bool causal;          // query i sees keys 0 .. i
};

// Vectors [batch, time, some columns of a row]: those of the heads lie side by side.
template <class Float> struct Columns {
  Float *at;
  Index row;
};
typedef Columns<const float> Given;

// --------------------------------------------------------------------------------------------- one table for each variant

// Each function returns false when there was no memory for its scratch; those named after Winograd also where they do not
// fit and where a result is not finite, so that the direct sums are wanted.
#define RETROGRAD_DECLARE(variant)                                                                                     \
  namespace variant {                                                                                                  \
  bool convolve(const Pool &, const Convolution &, const float *x, const float *weight, const Behind &, float *y);     \
  bool data_gradient(const Pool &, const Convolution &, const float *dy, const float *weight, float *dx);              \
  bool weight_gradient(const Pool &, const Convolution &, const float *x, const float *dy, float *dweight);            \
  bool winograd(const Pool &, const Convolution &, const float *x, const Taps &, const Behind &, float *y);            \
  bool winograd_weight_gradient(const Pool &, const Convolution &, const float *x, const float *dy, float *dweight);   \
  bool transposed_product(const Pool &, Index rows, Index left, Index right, const float *x, const float *dy,          \
                          float *product);                                                                             \
  bool recurrent_gradients(const Pool &, const Recurrence &, Index features, Index width, const float *x,              \
                           const float *first, const float *states, const float *dz, float *dinput,                    \
                           float *drecurrent, float *dbias);                                                           \
  bool lstm(const Pool &, const Recurrence &, const float *z, const float *weight, const float *bias, const float *h,  \
            const float *c, const float *mask, float *hidden, float *cells, float *gates);                             \
  bool lstm_back(const Pool &, const Recurrence &, const float *gates, const float *cells, const float *c,             \
                 const float *weight, const float *mask, const float *dhidden, float *dz, float *dh, float *dc);       \
  bool gru(const Pool &, const Recurrence &, const float *z, const float *weight, const float *bias,                   \
           const float *recurrent_bias, const float *h, const float *mask, float *hidden, float *gates);               \
  bool gru_back(const Pool &, const Recurrence &, const float *gates, const float *hidden, const float *h,             \
                const float *weight, const float *mask, const float *dhidden, float *dz, float *dh);                   \
  bool attend(const Pool &, const Attention &, Given q, Given k, Given v, const float *mask, float *y,                 \
              float *statistics);                                                                                      \
  bool attend_back(const Pool &, const Attention &, Given q, Given k, Given v, const float *mask, const float *y,      \
                   const float *statistics, const float *dy, Columns<float> dq, Columns<float> dk,                     \
                   Columns<float> dv);                                                                                 \
  }

RETROGRAD_DECLARE(x86_64_v2)
RETROGRAD_DECLARE(x86_64_v3)
RETROGRAD_DECLARE(x86_64_v4)
RETROGRAD_DECLARE(arm64)

}  // namespace retrograd
