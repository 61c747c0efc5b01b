// The memory's ceiling: every byte of 256 MiB is read once and nothing is computed but an OR.
//   gcc -O3 -march=native -pthread read.c; ./read [threads] [passes] [small]
#include "passes.h"

enum { VECTORS = 4, AHEAD = 2048 };
static const size_t bytes = (size_t)256 << 20;

typedef uint64_t vector __attribute__((vector_size(64), aligned(64)));
static const char *data;
static volatile uint64_t seen[THREADS_MAX * 8];

static void work(const struct worker *w) {
  vector v[VECTORS] = {0};
  for (size_t i = w->from * sizeof v; i < w->to * sizeof v; i += sizeof v)
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

static double total(void) {
  uint64_t all = 0;
  for (int t = 0; t < THREADS_MAX; t++) all |= seen[t * 8];
  return (double)all;
}

int main(int argc, char **argv) {
  const struct options o = read_options(argc, argv);
  uint64_t *x = map_pages(bytes, o.small);
  for (size_t i = 0; i < bytes / 8; i++) x[i] = i;
  data = (const char *)x;
  run_passes("read", o, bytes / (VECTORS * sizeof(vector)), bytes);
}
