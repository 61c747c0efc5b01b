// The native ceiling: the fused chain of four weighted sums over f32 leaves, 8 × 16 × 1024 × 512, with float64 sums.
//   gcc -O3 -march=native -pthread chain.c; ./chain [threads] [passes] [small]
#include "passes.h"

enum { D = 8, C = 16, B = 1024, A = 512, LANES = 16 };

// Sixteen float64 lanes in as many registers as -march=native needs. (One vector type of sixteen would go through memory.)
// With -DPLAIN only what WebAssembly can say: vectors of 128 bits, no prefetch.
#ifdef PLAIN
enum { WIDTH = 2, AHEAD = 0 };
#elif defined __AVX512F__
enum { WIDTH = 8, AHEAD = 2048 };
#else
enum { WIDTH = 4, AHEAD = 2048 };
#endif
enum { REGISTERS = LANES / WIDTH };
typedef double lanes __attribute__((vector_size(WIDTH * sizeof(double)), aligned(8)));
typedef float leaves __attribute__((vector_size(WIDTH * sizeof(float)), aligned(4)));

static const float *data;
static double a[A] __attribute__((aligned(64))), b[B], c[C], d[D];
static double partial[D * C]; // one g per (d, c)

// f: one row.
static inline double row(const float *x) {
  lanes s[REGISTERS] = {0};
  for (int j = 0; j < A; j += LANES) {
    // The hardware's own prefetch starts anew at each page: with this the loop is a quarter faster.
    if (AHEAD) __builtin_prefetch((const char *)(x + j) + AHEAD);
    for (int k = 0; k < REGISTERS; k++)
      s[k] += *(const lanes *)(a + j + k * WIDTH) * __builtin_convertvector(*(const leaves *)(x + j + k * WIDTH), lanes);
  }
  for (int half = REGISTERS / 2; half; half /= 2)
    for (int k = 0; k < half; k++) s[k] += s[k + half];
  for (int half = WIDTH / 2; half; half /= 2)
    for (int j = 0; j < half; j++) s[0][j] += s[0][j + half];
  return s[0][0];
}

// g: the weighted sum of B rows.
static double group(const float *x) {
  double g = 0;
  for (int i = 0; i < B; i++) g += b[i] * row(x + (size_t)i * A);
  return g;
}

static void work(const struct worker *w) {
  for (size_t i = w->from; i < w->to; i++) partial[i] = group(data + i * B * A);
}

// h and k.
static double total(void) {
  double k = 0;
  for (int i = 0; i < D; i++) {
    double h = 0;
    for (int j = 0; j < C; j++) h += c[j] * partial[i * C + j];
    k += d[i] * h;
  }
  return k;
}

int main(int argc, char **argv) {
  const struct options o = read_options(argc, argv);
  const size_t n = (size_t)D * C * B * A, bytes = n * sizeof(float);
  float *x = map_pages(bytes, o.small);
  uint32_t seed = 1;
  for (size_t i = 0; i < n; i++) seed = seed * 1664525u + 1013904223u, x[i] = (float)(seed >> 8) / (1 << 24) - 0.5f;
  data = x;
  for (int i = 0; i < A; i++) a[i] = 1.0 / (i + 1);
  for (int i = 0; i < B; i++) b[i] = 1.0 / (i + 2);
  for (int i = 0; i < C; i++) c[i] = 1.0 / (i + 3);
  for (int i = 0; i < D; i++) d[i] = 1.0 / (i + 4);
  run_passes("chain", o, D * C, bytes);
}
