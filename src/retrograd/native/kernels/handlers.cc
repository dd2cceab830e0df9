// The handlers that XLA calls: they unpack the arguments and call the kernels compiled for this processor.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

#include "kernels.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace retrograd {

// ------------------------------------------------------------------------------------------------------------ variants

struct Kernels {
  const char *name;
  decltype(&KERNELS_BASELINE::convolve) convolve;
  decltype(&KERNELS_BASELINE::data_gradient) data_gradient;
  decltype(&KERNELS_BASELINE::weight_gradient) weight_gradient;
  decltype(&KERNELS_BASELINE::transposed_product) transposed_product;
  decltype(&KERNELS_BASELINE::recurrent_gradients) recurrent_gradients;
  decltype(&KERNELS_BASELINE::lstm) lstm;
  decltype(&KERNELS_BASELINE::lstm_back) lstm_back;
  decltype(&KERNELS_BASELINE::gru) gru;
  decltype(&KERNELS_BASELINE::gru_back) gru_back;
  decltype(&KERNELS_BASELINE::attend) attend;
  decltype(&KERNELS_BASELINE::attend_back) attend_back;
};

#define KERNELS(v)                                                                                                     \
  {#v,          v::convolve, v::data_gradient, v::weight_gradient, v::transposed_product, v::recurrent_gradients,      \
   v::lstm,     v::lstm_back, v::gru,          v::gru_back,        v::attend,             v::attend_back}

static const Kernels compiled[] = {
#if defined(__x86_64__)
    KERNELS(x86_64_v2), KERNELS(x86_64_v3), KERNELS(x86_64_v4),
#else
    KERNELS(arm64),
#endif
};
constexpr int VARIANTS = sizeof compiled / sizeof compiled[0];

static bool runs_here(int variant) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool v2 = __builtin_cpu_supports("sse4.2");
  bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512cd");
  return variant == 0 ? v2 : variant == 1 ? v3 : v4;
#else
  return variant == 0;
#endif
}

static const Kernels *chosen = nullptr;

// -------------------------------------------------------------------------------------------------- memory and threads

float *scratch(Slot slot, Index floats) {
  struct Blocks {
    void *at[SLOTS] = {};
    size_t bytes[SLOTS] = {};
    ~Blocks() {
      for (void *block : at) std::free(block);
    }
  };
  static thread_local Blocks blocks;
  size_t needed = (size_t(floats) * sizeof(float) + 64) / 64 * 64;
  if (blocks.bytes[slot] < needed) {
    std::free(blocks.at[slot]);
    blocks.at[slot] = std::aligned_alloc(64, needed);
    blocks.bytes[slot] = blocks.at[slot] ? needed : 0;
  }
  return static_cast<float *>(blocks.at[slot]);
}

// The calling thread works too and waits only for tasks that have started, so nothing hangs however busy the pool is.
// The counters are shared because a thread that starts late still reads them after the call has returned.
struct Counters {
  std::atomic<Index> next{0}, done{0};
};

static void run_on_pool(const Pool &pool, Index count, void (*task)(const void *, Index), const void *context) {
  auto counters = std::make_shared<Counters>();
  auto work = [counters, count, task, context] {
    Index finished = 0;
    for (Index i; (i = counters->next.fetch_add(1, std::memory_order_relaxed)) < count; finished++) task(context, i);
    if (finished) counters->done.fetch_add(finished, std::memory_order_release);
  };
  auto *threads = static_cast<ffi::ThreadPool *>(pool.pool);
  for (Index t = 1; t < pool.threads && t < count; t++) threads->Schedule(std::function<void()>(work));
  work();
  for (int spins = 0; counters->done.load(std::memory_order_acquire) < count; spins++)
    if (spins > 1000) std::this_thread::yield();
}

static Pool pool_of(ffi::ThreadPool &threads) { return {Index(threads.num_threads()), &threads, run_on_pool}; }

static ffi::Error result(bool allocated) {
  if (allocated) return ffi::Error::Success();
  return ffi::Error(ffi::ErrorCode::kResourceExhausted, "out of memory for the scratch buffers of a native kernel");
}

static ffi::Error invalid(const char *what) { return ffi::Error(ffi::ErrorCode::kInvalidArgument, what); }

// --------------------------------------------------------------------------------------------------------- convolution

typedef ffi::Buffer<ffi::F32> Array;
typedef ffi::Result<Array> Output;
typedef ffi::Span<const int64_t> Numbers;

static bool holds(const Array &array, Index count) { return Index(array.element_count()) == count; }

// `window`: stride, dilation and leading padding, each for height and width, then the number of groups.
static bool geometry(const Array::Dimensions &x, const Array::Dimensions &weight, const Array::Dimensions &y,
                     Numbers window, Convolution &c) {
  if (x.size() != 4 || weight.size() != 4 || y.size() != 4 || window.size() != 7) return false;
  c = {x[0],      x[1],      x[2],      x[3],      y[1],      y[2],      y[3],     weight[0],
       weight[1], window[0], window[1], window[2], window[3], window[4], window[5], window[6]};
  return c.groups > 0 && x[0] == y[0] && weight[2] * c.groups == x[3] && weight[3] == y[3] && y[3] % c.groups == 0;
}

// `parts`: whether there are a bias, a residual, and relu; `rest` contains the arrays in this order.
static bool unpack(const ffi::RemainingArgs &rest, Numbers parts, Index filters, Index outputs, Epilogue &to) {
  if (parts.size() != 3) return false;
  to = {nullptr, nullptr, parts[2] != 0};
  size_t used = 0;
  auto next = [&](Index count, const float *&at) {
    auto buffer = rest.get<Array>(used++);
    if (!buffer.has_value() || !holds(*buffer, count)) return false;
    at = buffer->typed_data();
    return true;
  };
  if (parts[0] && !next(filters, to.bias)) return false;
  if (parts[1] && !next(outputs, to.residual)) return false;
  return rest.size() == used;
}

static ffi::Error Convolve(ffi::ThreadPool threads, Array x, Array weight, ffi::RemainingArgs rest, Output y,
                           Numbers window, Numbers parts) {
  Convolution c;
  Epilogue epilogue;
  if (!geometry(x.dimensions(), weight.dimensions(), y->dimensions(), window, c) ||
      !unpack(rest, parts, c.filters, Index(y->element_count()), epilogue))
    return invalid("convolution: shapes do not match");
  return result(chosen->convolve(pool_of(threads), c, x.typed_data(), weight.typed_data(), epilogue, y->typed_data()));
}

static ffi::Error DataGradient(ffi::ThreadPool threads, Array dy, Array weight, Output dx, Numbers window) {
  Convolution c;
  if (!geometry(dx->dimensions(), weight.dimensions(), dy.dimensions(), window, c))
    return invalid("convolution: shapes do not match");
  return result(chosen->data_gradient(pool_of(threads), c, dy.typed_data(), weight.typed_data(), dx->typed_data()));
}

static ffi::Error WeightGradient(ffi::ThreadPool threads, Array x, Array dy, Output dweight, Numbers window) {
  Convolution c;
  if (!geometry(x.dimensions(), dweight->dimensions(), dy.dimensions(), window, c))
    return invalid("convolution: shapes do not match");
  return result(chosen->weight_gradient(pool_of(threads), c, x.typed_data(), dy.typed_data(), dweight->typed_data()));
}

// ------------------------------------------------------------------------------------------------------------ matrices

static ffi::Error TransposedProduct(ffi::ThreadPool threads, Array x, Array dy, Output product) {
  auto a = x.dimensions(), b = dy.dimensions(), c = product->dimensions();
  if (a.size() != 2 || b.size() != 2 || c.size() != 2 || a[0] != b[0] || c[0] != a[1] || c[1] != b[1])
    return invalid("product: shapes do not match");
  return result(chosen->transposed_product(pool_of(threads), a[0], a[1], b[1], x.typed_data(), dy.typed_data(),
                                           product->typed_data()));
}

// ---------------------------------------------------------------------------------------------------------- recurrence

// `sequence` [time, batch, gates x units], possibly with merged axes; returns whether the other shapes match it.
static bool geometry(const Array &sequence, const Array &weight, const Array &mask, Index gates, int64_t reverse,
                     Recurrence &r) {
  auto w = weight.dimensions(), m = mask.dimensions();
  if (w.size() != 2 || m.size() != 2) return false;
  r = {m[0], m[1], w[0], reverse != 0};
  return holds(sequence, r.time * r.batch * gates * r.units);
}

static const float *or_null(const Array &array) { return array.element_count() ? array.typed_data() : nullptr; }

static float *copied(const Array &from, Output &to) {
  std::memcpy(to->typed_data(), from.typed_data(), from.size_bytes());
  return to->typed_data();
}

// x [time, batch, features], where features may be 0; dz [time, batch, width].
static ffi::Error RecurrentGradients(ffi::ThreadPool threads, Array x, Array first, Array states, Array dz,
                                     Output dinput, Output drecurrent, Output dbias, int64_t reverse) {
  auto s = states.dimensions(), in = dinput->dimensions(), out = drecurrent->dimensions();
  if (s.size() != 3 || in.size() != 2 || out.size() != 2) return invalid("recurrence: shapes do not match");
  Recurrence r = {s[0], s[1], s[2], reverse != 0};
  Index rows = r.time * r.batch, features = in[0], width = in[1];
  if (!holds(x, rows * features) || !holds(first, r.batch * r.units) || !holds(dz, rows * width) ||
      out[0] != r.units || out[1] != width || Index(dbias->element_count()) != width)
    return invalid("recurrence: shapes do not match");
  return result(chosen->recurrent_gradients(pool_of(threads), r, features, width, x.typed_data(), first.typed_data(),
                                            states.typed_data(), dz.typed_data(), dinput->typed_data(),
                                            drecurrent->typed_data(), dbias->typed_data()));
}

static ffi::Error Lstm(ffi::ThreadPool threads, Array z, Array weight, Array bias, Array h, Array c, Array mask,
                       Output hidden, Output cells, Output gates, int64_t reverse) {
  Recurrence r;
  if (!geometry(z, weight, mask, 4, reverse, r) || !holds(weight, 4 * r.units * r.units) || !holds(bias, 4 * r.units) ||
      !holds(h, r.batch * r.units) || !holds(c, r.batch * r.units))
    return invalid("lstm: shapes do not match");
  return result(chosen->lstm(pool_of(threads), r, z.typed_data(), weight.typed_data(), bias.typed_data(),
                             h.typed_data(), c.typed_data(), mask.typed_data(), hidden->typed_data(),
                             cells->typed_data(), gates->typed_data()));
}

static ffi::Error LstmBack(ffi::ThreadPool threads, Array gates, Array cells, Array c, Array weight, Array mask,
                           Array dhidden, Array dh, Array dc, Output dz, Output dh0, Output dc0, int64_t reverse) {
  Recurrence r;
  if (!geometry(gates, weight, mask, 4, reverse, r) || !holds(weight, 4 * r.units * r.units) ||
      !holds(cells, r.time * r.batch * r.units) || !holds(dh, r.batch * r.units) || !holds(dc, r.batch * r.units))
    return invalid("lstm: shapes do not match");
  return result(chosen->lstm_back(pool_of(threads), r, gates.typed_data(), cells.typed_data(), c.typed_data(),
                                  weight.typed_data(), mask.typed_data(), or_null(dhidden), dz->typed_data(),
                                  copied(dh, dh0), copied(dc, dc0)));
}

static ffi::Error Gru(ffi::ThreadPool threads, Array z, Array weight, Array bias, Array recurrent_bias, Array h,
                      Array mask, Output hidden, Output gates, int64_t reverse) {
  Recurrence r;
  if (!geometry(z, weight, mask, 3, reverse, r) || !holds(weight, 3 * r.units * r.units) || !holds(bias, 3 * r.units) ||
      !holds(recurrent_bias, r.units) || !holds(h, r.batch * r.units))
    return invalid("gru: shapes do not match");
  return result(chosen->gru(pool_of(threads), r, z.typed_data(), weight.typed_data(), bias.typed_data(),
                            recurrent_bias.typed_data(), h.typed_data(), mask.typed_data(), hidden->typed_data(),
                            gates->typed_data()));
}

static ffi::Error GruBack(ffi::ThreadPool threads, Array gates, Array hidden, Array h, Array weight, Array mask,
                          Array dhidden, Array dh, Output dz, Output dh0, int64_t reverse) {
  Recurrence r;
  if (!geometry(gates, weight, mask, 4, reverse, r) || !holds(weight, 3 * r.units * r.units) ||
      !holds(hidden, r.time * r.batch * r.units) || !holds(dh, r.batch * r.units))
    return invalid("gru: shapes do not match");
  return result(chosen->gru_back(pool_of(threads), r, gates.typed_data(), hidden.typed_data(), h.typed_data(),
                                 weight.typed_data(), mask.typed_data(), or_null(dhidden), dz->typed_data(),
                                 copied(dh, dh0)));
}

// ----------------------------------------------------------------------------------------------------------- attention

// The projections of one, two or three sources, [batch, time, columns] each: queries, keys and values side by side;
// queries | keys and values; or each separately.
struct Projections {
  struct Projection {
    float *at;
    Index batch, time, columns;
  } parts[3];
  size_t count;
  const Projection &of(int role) const { return parts[count == 1 ? 0 : count == 2 ? role > 0 : role]; }
  Index offset(int role, const Attention &a) const {  // the column at which the heads of this role begin
    Index first = count == 1 ? a.heads * a.width : 0;
    return role == 0 || count == 3 ? 0 : role == 1 ? first : first + a.kv_heads * a.width;
  }
  Columns<float> write(int role, const Attention &a) const { return {of(role).at + offset(role, a), of(role).columns}; }
  Input read(int role, const Attention &a) const { return {of(role).at + offset(role, a), of(role).columns}; }
};

static Array array(Array a) { return a; }
static Array array(Output a) { return *a; }

template <class Rest> static bool unpack(const Rest &rest, Projections &to) {
  to.count = rest.size();
  if (to.count < 1 || to.count > 3) return false;
  for (size_t i = 0; i < to.count; i++) {
    auto buffer = rest.template get<Array>(i);
    if (!buffer.has_value() || array(*buffer).dimensions().size() != 3) return false;
    auto d = array(*buffer).dimensions();
    to.parts[i] = {array(*buffer).typed_data(), d[0], d[1], d[2]};
  }
  return true;
}

// `cut`: number of heads, of key and value heads, of queries in a block, and whether attention is causal.
static bool geometry(const Projections &inputs, const Array &mask, const Array::Dimensions &y,
                     const Array::Dimensions &statistics, Numbers cut, Attention &a) {
  if (y.size() != 3 || cut.size() != 4 || cut[0] < 1 || cut[1] < 1 || cut[2] < 1 || y[2] % cut[0] || cut[0] % cut[1])
    return false;
  a = {y[0], y[1], inputs.of(1).time, y[2] / cut[0], cut[0], cut[1], cut[2], cut[3] != 0};
  for (int role = 0; role < 3; role++) {
    const Projections::Projection &part = inputs.of(role);
    Index heads = role ? a.kv_heads : a.heads;
    if (part.batch != a.batch || part.time != (role ? a.keys : a.queries) ||
        part.columns < inputs.offset(role, a) + heads * a.width)
      return false;
  }
  return statistics.size() == 4 && statistics[0] == a.batch && statistics[1] == a.heads &&
         statistics[2] == a.queries && statistics[3] == 2 && (holds(mask, 0) || holds(mask, a.batch * a.keys));
}

static ffi::Error Attend(ffi::ThreadPool threads, Array mask, ffi::RemainingArgs rest, Output y,
                         Output statistics, Numbers cut) {
  Projections inputs;
  Attention a;
  if (!unpack(rest, inputs) || !geometry(inputs, mask, y->dimensions(), statistics->dimensions(), cut, a))
    return invalid("attention: shapes do not match");
  return result(chosen->attend(pool_of(threads), a, inputs.read(0, a), inputs.read(1, a), inputs.read(2, a),
                               or_null(mask), y->typed_data(), statistics->typed_data()));
}

static ffi::Error AttendBack(ffi::ThreadPool threads, Array mask, Array y, Array statistics, Array dy,
                             ffi::RemainingArgs rest, ffi::RemainingRets results, Numbers cut) {
  Projections inputs, deltas;
  Attention a, same;
  if (!unpack(rest, inputs) || !unpack(results, deltas) || inputs.count != deltas.count ||
      !geometry(inputs, mask, y.dimensions(), statistics.dimensions(), cut, a) ||
      !geometry(deltas, mask, dy.dimensions(), statistics.dimensions(), cut, same) || same.width != a.width ||
      same.keys != a.keys || same.queries != a.queries)
    return invalid("attention: shapes do not match");
  return result(chosen->attend_back(pool_of(threads), a, inputs.read(0, a), inputs.read(1, a), inputs.read(2, a),
                                    or_null(mask), y.typed_data(), statistics.typed_data(), dy.typed_data(),
                                    deltas.write(0, a), deltas.write(1, a), deltas.write(2, a)));
}

// ---------------------------------------------------------------------------------------------------- the XLA handlers

#define POOL ffi::Ffi::Bind().Ctx<ffi::ThreadPool>()
#define IN .Arg<Array>()
#define OUT .Ret<Array>()
#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_convolve, Convolve,
                              POOL IN IN.RemainingArgs() OUT.Attr<Numbers>("window").Attr<Numbers>("epilogue"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_data_gradient, DataGradient, POOL IN IN OUT.Attr<Numbers>("window"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_weight_gradient, WeightGradient, POOL IN IN OUT.Attr<Numbers>("window"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_transposed_product, TransposedProduct, POOL IN IN OUT);
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_recurrent_gradients, RecurrentGradients,
                              POOL IN IN IN IN OUT OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_lstm, Lstm,
                              POOL IN IN IN IN IN IN OUT OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_lstm_back, LstmBack,
                              POOL IN IN IN IN IN IN IN IN OUT OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_gru, Gru, POOL IN IN IN IN IN IN OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_gru_back, GruBack,
                              POOL IN IN IN IN IN IN IN OUT OUT.Attr<int64_t>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_attend, Attend,
                              POOL IN.RemainingArgs() OUT OUT.Attr<Numbers>("cut"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(retrograd_attend_back, AttendBack,
                              POOL IN IN IN IN.RemainingArgs().RemainingRets().Attr<Numbers>("cut"));
#pragma GCC visibility pop

}  // namespace retrograd

// ------------------------------------------------------------------------------------- called by Python through ctypes

#pragma GCC visibility push(default)
extern "C" {
// Identifies the sources that this library was built from.
const char *retrograd_digest() { return RETROGRAD_DIGEST; }
int retrograd_variants() { return retrograd::VARIANTS; }
const char *retrograd_variant(int i) { return retrograd::compiled[i].name; }
int retrograd_runs_here(int i) { return retrograd::runs_here(i); }
void retrograd_choose(int i) { retrograd::chosen = &retrograd::compiled[i]; }
}
#pragma GCC visibility pop
