// The memory's ceiling: every byte of 256 MiB is read once and nothing is computed but an OR.
//   gcc -O3 -march=native -pthread read.c; ./read [threads] [passes] [small]
// Prints JSON. With passes = 0 it serves: one pass for each line on stdin, answered by its seconds.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { THREADS_MAX = 64, VECTORS = 4, AHEAD = 2048 };
static const size_t bytes = (size_t)256 << 20;

typedef uint64_t vector __attribute__((vector_size(64), aligned(64)));
static const char *data;
static volatile uint64_t seen[THREADS_MAX * 8];

struct worker { pthread_t thread; int index; size_t from, to; };
static pthread_barrier_t start, finish;
static int over;

static void work(const struct worker *w) {
  vector v[VECTORS] = {0};
  for (size_t i = w->from; i < w->to; i += sizeof v)
    for (int k = 0; k < VECTORS; k++) {
      // The hardware's own prefetch starts anew at each page.
      __builtin_prefetch(data + i + k * sizeof(vector) + AHEAD);
      v[k] |= *(const vector *)(data + i + k * sizeof(vector));
    }
  uint64_t all = 0;
  for (int k = 0; k < VECTORS; k++)
    for (int j = 0; j < 8; j++) all |= v[k][j];
  seen[w->index * 8] = all;
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

static double pass(struct worker *mine) {
  const double from = seconds();
  pthread_barrier_wait(&start);
  work(mine);
  pthread_barrier_wait(&finish);
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
  if (threads < 1 || threads > THREADS_MAX || passes < 0) return fprintf(stderr, "usage: read [threads 1..%d] [passes] [small]\n", THREADS_MAX), 1;
  uint64_t *x = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (x == MAP_FAILED) return perror("mmap"), 1;
  if (!small) madvise(x, bytes, MADV_HUGEPAGE);
  for (size_t i = 0; i < bytes / 8; i++) x[i] = i;
  data = (const char *)x;

  struct worker w[THREADS_MAX];
  pthread_barrier_init(&start, NULL, threads);
  pthread_barrier_init(&finish, NULL, threads);
  const size_t parts = bytes / (64 * VECTORS);
  for (int t = 0; t < threads; t++) {
    w[t].index = t;
    w[t].from = parts * t / threads * 64 * VECTORS;
    w[t].to = parts * (t + 1) / threads * 64 * VECTORS;
    if (t) pthread_create(&w[t].thread, NULL, loop, &w[t]);
  }
  pass(&w[0]);
  if (passes == 0) {
    char line[64];
    printf("{\"bytes\":%zu,\"threads\":%d}\n", bytes, threads);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
      printf("%.9f\n", pass(&w[0]));
      fflush(stdout);
    }
  } else {
    double *times = malloc(passes * sizeof(double));
    for (int i = 0; i < passes; i++) times[i] = pass(&w[0]);
    qsort(times, passes, sizeof(double), ascending);
    printf("{\"name\":\"read\",\"bytes\":%zu,\"threads\":%d,\"passes\":%d,\"min\":%.9f,\"median\":%.9f}\n", bytes, threads, passes, times[0],
           times[passes / 2]);
  }
  over = 1;
  pthread_barrier_wait(&start);
  for (int t = 1; t < threads; t++) pthread_join(w[t].thread, NULL);
}
