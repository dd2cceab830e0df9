"""The C routines that layers call: each is written into a file once, and only if some layer needs it."""

from __future__ import annotations

ROUTINES = {
    "dense": """\
static void dense(const float *x, float *y, const float *w, const float *b, int rows, int n, int m)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < m; j++) {
            float sum = b ? b[j] : 0.0f;
            for (int i = 0; i < n; i++)
                sum += x[r * n + i] * w[i * m + j];
            y[r * m + j] = sum;
        }
}
""",
    "convolution": """\
/* g: height, width, channels, filters; height and width of output, kernel, stride, dilation, margin; groups */
static void convolution(const float *x, float *y, const float *w, const float *b, const int *g)
{
    const int in = g[2] / g[14], out = g[3] / g[14];
    for (int i = 0; i < g[4]; i++)
        for (int j = 0; j < g[5]; j++)
            for (int f = 0; f < g[3]; f++) {
                const int first = f / out * in;
                float sum = b ? b[f] : 0.0f;
                for (int p = 0; p < g[6]; p++) {
                    const int row = i * g[8] + p * g[10] - g[12];
                    if (row < 0 || row >= g[0])
                        continue;
                    for (int q = 0; q < g[7]; q++) {
                        const int column = j * g[9] + q * g[11] - g[13];
                        if (column < 0 || column >= g[1])
                            continue;
                        for (int c = 0; c < in; c++)
                            sum += x[(row * g[1] + column) * g[2] + first + c]
                                 * w[((p * g[7] + q) * in + c) * g[3] + f];
                    }
                }
                y[(i * g[5] + j) * g[3] + f] = sum;
            }
}
""",
    "max_pool": """\
/* g: height, width, channels, height and width of the output, of the window, stride, dilation, before */
static void max_pool(const float *x, float *y, const int *g)
{
    for (int i = 0; i < g[3]; i++)
        for (int j = 0; j < g[4]; j++)
            for (int c = 0; c < g[2]; c++) {
                float largest = -INFINITY;
                for (int p = 0; p < g[5]; p++)
                    for (int q = 0; q < g[6]; q++) {
                        const int row = i * g[7] + p * g[9] - g[11], column = j * g[8] + q * g[10] - g[12];
                        if (row >= 0 && row < g[0] && column >= 0 && column < g[1])
                            largest = fmaxf(largest, x[(row * g[1] + column) * g[2] + c]);
                    }
                y[(i * g[4] + j) * g[2] + c] = largest;
            }
}
""",
    "average_pool": """\
/* g: height, width, channels, height and width of the output, of the window, stride, before; share: of each output */
static void average_pool(const float *x, float *y, const float *share, const int *g)
{
    for (int i = 0; i < g[3]; i++)
        for (int j = 0; j < g[4]; j++)
            for (int c = 0; c < g[2]; c++) {
                float sum = 0.0f;
                for (int p = 0; p < g[5]; p++)
                    for (int q = 0; q < g[6]; q++) {
                        const int row = i * g[7] + p - g[9], column = j * g[8] + q - g[10];
                        if (row >= 0 && row < g[0] && column >= 0 && column < g[1])
                            sum += x[(row * g[1] + column) * g[2] + c];
                    }
                y[(i * g[4] + j) * g[2] + c] = sum * share[i * g[4] + j];
            }
}
""",
    "average_all": """\
static void average_all(const float *x, float *y, int places, int channels)
{
    for (int c = 0; c < channels; c++) {
        float sum = 0.0f;
        for (int i = 0; i < places; i++)
            sum += x[i * channels + c];
        y[c] = sum / (float)places;
    }
}
""",
    "max_all": """\
static void max_all(const float *x, float *y, int places, int channels)
{
    for (int c = 0; c < channels; c++) {
        float largest = x[c];
        for (int i = 1; i < places; i++)
            largest = fmaxf(largest, x[i * channels + c]);
        y[c] = largest;
    }
}
""",
    "normalise": """\
static void normalise(const float *x, float *y, const float *mean, const float *factor, const float *bias,
                      int rows, int n)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < n; i++)
            y[r * n + i] = (x[r * n + i] - mean[i]) * factor[i] + bias[i];
}
""",
    "softmax": """\
static void softmax(const float *x, float *y, int rows, int n)
{
    for (int r = 0; r < rows; r++, x += n, y += n) {
        float largest = x[0], sum = 0.0f;
        for (int i = 1; i < n; i++)
            largest = fmaxf(largest, x[i]);
        for (int i = 0; i < n; i++)
            sum += y[i] = expf(x[i] - largest);
        for (int i = 0; i < n; i++)
            y[i] /= sum;
    }
}
""",
    "slopes": """\
static void slopes(const float *x, float *y, const float *slope, int rows, int n)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < n; i++)
            y[r * n + i] = x[r * n + i] > 0.0f ? x[r * n + i] : slope[i] * x[r * n + i];
}
""",
    "side_by_side": """\
static void side_by_side(const float *x, float *y, int rows, int n, int all, int first)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < n; i++)
            y[r * all + first + i] = x[r * n + i];
}
""",
}
EACH = """\
static void {name}(const float *x, float *y, int n)
{{
    for (int i = 0; i < n; i++) {{
        const float v = x[i];
        y[i] = {formula};
    }}
}}
"""
PAIR = """\
static void {name}(const float *x, const float *z, float *y, int n)
{{
    for (int i = 0; i < n; i++)
        y[i] = {formula};
}}
"""
