// The native ceiling: the fused chain of four weighted sums over f32 leaves, 8 × 16 × 1024 × 512, with float64 sums.
//   gcc -O3 -march=native -pthread chain.c; ./chain [threads] [passes] [small]
// Prints JSON. With passes = 0 it serves: one pass for each line on stdin, answered by its seconds, so that another
// program can interleave its own runs with these.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { D = 8, C = 16, B = 1024, A = 512, LANES = 16, THREADS_MAX = 64 };

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

struct worker { pthread_t thread; int from, to; };
static pthread_barrier_t start, finish;
static int over;

static void work(const struct worker *w) {
  for (int i = w->from; i < w->to; i++) partial[i] = group(data + (size_t)i * B * A);
}

static void *loop(void *arg) {
  for (;;) {
    pthread_barrier_wait(&start);
    if (over) return NULL;
    work(arg);
    pthread_barrier_wait(&finish);
  }
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static double result;

static double pass(struct worker *mine) {
  const double from = seconds();
  pthread_barrier_wait(&start);
  work(mine);
  pthread_barrier_wait(&finish);
  result = 0;
  for (int i = 0; i < D; i++) {
    double h = 0;
    for (int j = 0; j < C; j++) h += c[j] * partial[i * C + j];
    result += d[i] * h;
  }
  return seconds() - from;
}

static int ascending(const void *p, const void *q) {
  const double x = *(const double *)p, y = *(const double *)q;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 1;
  const int passes = argc > 2 ? atoi(argv[2]) : 31;
  const int small = argc > 3 && !strcmp(argv[3], "small"); // NumPy asks for huge pages, V8 does not: both are worth a look
  if (threads < 1 || threads > THREADS_MAX || passes < 0) return fprintf(stderr, "usage: chain [threads 1..%d] [passes] [small]\n", THREADS_MAX), 1;
  const size_t n = (size_t)D * C * B * A, bytes = n * sizeof(float);
  float *x = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (x == MAP_FAILED) return perror("mmap"), 1;
  if (!small) madvise(x, bytes, MADV_HUGEPAGE);
  uint32_t seed = 1;
  for (size_t i = 0; i < n; i++) seed = seed * 1664525u + 1013904223u, x[i] = (float)(seed >> 8) / (1 << 24) - 0.5f;
  data = x;
  for (int i = 0; i < A; i++) a[i] = 1.0 / (i + 1);
  for (int i = 0; i < B; i++) b[i] = 1.0 / (i + 2);
  for (int i = 0; i < C; i++) c[i] = 1.0 / (i + 3);
  for (int i = 0; i < D; i++) d[i] = 1.0 / (i + 4);

  struct worker w[THREADS_MAX];
  pthread_barrier_init(&start, NULL, threads);
  pthread_barrier_init(&finish, NULL, threads);
  for (int t = 0; t < threads; t++) {
    w[t].from = D * C * t / threads;
    w[t].to = D * C * (t + 1) / threads;
    if (t) pthread_create(&w[t].thread, NULL, loop, &w[t]);
  }
  pass(&w[0]); // page tables, caches, clock
  if (passes == 0) {
    char line[64];
    printf("{\"bytes\":%zu,\"threads\":%d,\"result\":%.17g}\n", bytes, threads, result);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
      printf("%.9f\n", pass(&w[0]));
      fflush(stdout);
    }
  } else {
    double *times = malloc(passes * sizeof(double));
    for (int i = 0; i < passes; i++) times[i] = pass(&w[0]);
    qsort(times, passes, sizeof(double), ascending);
    printf("{\"name\":\"chain\",\"bytes\":%zu,\"threads\":%d,\"passes\":%d,\"min\":%.9f,\"median\":%.9f,\"result\":%.17g}\n", bytes, threads,
           passes, times[0], times[passes / 2], result);
  }
  over = 1;
  pthread_barrier_wait(&start);
  for (int t = 1; t < threads; t++) pthread_join(w[t].thread, NULL);
}
